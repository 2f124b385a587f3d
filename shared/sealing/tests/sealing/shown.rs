use serde::{Deserialize, Serialize};
use switchyard_sealing::{SealError, SealRing, Sealed, key_id_of};

use super::{NEW, OLD, PLACE, sealer};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Document {
    secret: Sealed,
}

#[test]
fn neither_a_ring_nor_a_sealer_shows_its_keys() {
    let both = format!("{NEW},{OLD}");
    let (ring, sealer) = (format!("{:?}", SealRing::parse(&both).unwrap()), format!("{:?}", sealer(&both)));
    for shown in [&ring, &sealer] {
        assert!(!shown.contains("new-key") && !shown.contains("old-key"), "{shown}");
    }
    let id = |key| SealRing::parse(key).unwrap().current_id().to_owned();
    assert_eq!(ring, format!("[{:?}, {:?}]", id(NEW), id(OLD)));
}

#[test]
fn a_field_shows_the_id_of_its_key_alone() {
    let document = Document { secret: Sealed::seal(&sealer(OLD), PLACE, b"text").unwrap() };
    let key_id = SealRing::parse(OLD).unwrap().current_id().to_owned();
    assert_eq!(document.secret.key_id(), Some(&*key_id));
    assert_eq!(format!("{document:?}"), format!("Document {{ secret: Sealed({key_id}) }}"));
}

#[test]
fn a_field_is_stored_as_the_sealed_text() {
    let document = Document { secret: Sealed::seal(&sealer(OLD), PLACE, b"text").unwrap() };
    let json = serde_json::to_value(&document).unwrap();
    let sealed = json["secret"].as_str().unwrap();
    assert_eq!(sealer(OLD).open(PLACE, sealed).unwrap(), b"text");
    let read: Document = serde_json::from_value(json).unwrap();
    assert_eq!(read, document);
    assert_eq!(read.secret.open(&sealer(OLD), PLACE).unwrap(), b"text");
}

#[test]
fn a_plain_text_in_a_field_is_neither_shown_nor_opened() {
    let document: Document = serde_json::from_str(r#"{"secret":"a plain text."}"#).unwrap();
    assert_eq!(format!("{document:?}"), "Document { secret: Sealed(malformed) }");
    assert_eq!(document.secret.key_id(), None);
    assert_eq!(document.secret.open(&sealer(OLD), PLACE), Err(SealError::Altered));
}

#[test]
fn the_id_of_a_key_is_eight_hexadecimal_digits_before_a_dot() {
    assert_eq!(key_id_of("898a63ca.AAEC"), Some("898a63ca"));
    for text in ["", ".", "898a63ca", "898a63c.AAEC", "898a63ca0.AAEC", "898A63CA.AAEC", "898a63cg.AAEC"] {
        assert_eq!(key_id_of(text), None, "{text}");
    }
}
