use serde::{Deserialize, Serialize};
use switchyard_kernel::Keys as _;
use switchyard_sealing::{SealError, SealRing, Sealed, key_id_of};

use super::{NEW, OLD, PLACE, sealer};

/// A value that can neither be copied nor compared.
#[derive(Debug, Serialize, Deserialize)]
struct Factor {
    secret: String,
    step: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Document {
    factor: Sealed<Factor>,
}

fn document() -> Document {
    let factor = Factor { secret: "hunter2".to_owned(), step: 7 };
    Document { factor: sealer(OLD).seal_value(PLACE, &factor).unwrap() }
}

fn id(key: &str) -> String {
    SealRing::parse(key).unwrap().ids().remove(0)
}

#[test]
fn neither_a_ring_nor_a_sealer_shows_its_keys() {
    let both = format!("{NEW},{OLD}");
    let (ring, sealer) = (format!("{:?}", SealRing::parse(&both).unwrap()), format!("{:?}", sealer(&both)));
    for shown in [&ring, &sealer] {
        assert!(!shown.contains("new-key") && !shown.contains("old-key"), "{shown}");
    }
    assert_eq!(ring, format!("SealRing([{:?}, {:?}])", id(NEW), id(OLD)));
}

#[test]
fn a_field_shows_the_id_of_its_key_alone() {
    let document = document();
    assert_eq!(document.factor.key_id(), Some(&*id(OLD)));
    assert_eq!(format!("{document:?}"), format!("Document {{ factor: Sealed({}) }}", id(OLD)));
}

#[test]
fn a_field_is_stored_as_the_sealed_text() {
    let document = document();
    let json = serde_json::to_value(&document).unwrap();
    let sealed = json["factor"].as_str().unwrap();
    assert_eq!(sealed, document.factor.as_text());
    assert_eq!(sealer(OLD).open(PLACE, sealed).unwrap(), br#"{"secret":"hunter2","step":7}"#);
    let read: Document = serde_json::from_value(json).unwrap();
    assert_eq!(read, document);
    let factor = sealer(OLD).open_value(PLACE, &read.factor).unwrap();
    assert_eq!((&*factor.secret, factor.step), ("hunter2", 7));
}

#[test]
fn a_field_of_another_form_is_not_opened_and_not_shown() {
    let sealed = sealer(OLD).seal_value(PLACE, &["hunter2"]).unwrap();
    let field: Sealed<u64> = Sealed::from_text(sealed.as_text().to_owned());
    let error = sealer(OLD).open_value(PLACE, &field).unwrap_err();
    assert_eq!(error, SealError::Form);
    assert_eq!(error.to_string(), "the sealed value does not have the expected form");
}

#[test]
fn a_plain_text_in_a_field_is_neither_shown_nor_opened() {
    let document: Document = serde_json::from_str(r#"{"factor":"a plain text."}"#).unwrap();
    assert_eq!(format!("{document:?}"), "Document { factor: Sealed(malformed) }");
    assert_eq!(document.factor.key_id(), None);
    assert_eq!(sealer(OLD).open_value(PLACE, &document.factor).unwrap_err(), SealError::Altered);
}

#[test]
fn the_id_of_a_key_is_eight_hexadecimal_digits_before_a_dot() {
    assert_eq!(key_id_of("898a63ca.AAEC"), Some("898a63ca"));
    for text in ["", ".", "898a63ca", "898a63c.AAEC", "898a63ca0.AAEC", "898A63CA.AAEC", "898a63cg.AAEC"] {
        assert_eq!(key_id_of(text), None, "{text}");
    }
}
