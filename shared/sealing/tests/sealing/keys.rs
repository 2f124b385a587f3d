use switchyard_ambient::Ambient;
use switchyard_database::Error;
use switchyard_kernel::{KeyRing, KeyRingError, Keys as _};
use switchyard_sealing::{SealError, SealRing, Sealer, key_id_of};

use super::{NEW, OLD, PLACE, sealer};

fn id(key: &str) -> String {
    SealRing::parse(key).unwrap().ids().remove(0)
}

#[test]
fn the_first_key_seals_and_all_keys_open() {
    let before = sealer(OLD).seal(PLACE, b"text").unwrap();
    let both = sealer(&format!("{NEW}, {OLD}"));
    let after = both.seal(PLACE, b"text").unwrap();
    assert_eq!(both.open(PLACE, &before).unwrap(), b"text");
    assert_eq!(both.open(PLACE, &after).unwrap(), b"text");
    assert_eq!(key_id_of(&after), Some(&*id(NEW)));
    assert_eq!(sealer(NEW).open(PLACE, &after).unwrap(), b"text");

    let error = sealer(NEW).open(PLACE, &before).unwrap_err();
    let says =
        format!("the text was sealed with the key with the id {}, which ENCRYPTION_KEY lacks", id(OLD));
    assert_eq!(error.to_string(), says);
    assert_eq!(error, SealError::UnknownKey { key_id: id(OLD) });
}

#[test]
fn a_ring_seals_and_opens_as_a_sealer_does() {
    let (ring, ambient) = (SealRing::parse(&format!("{NEW},{OLD}")).unwrap(), Ambient::system());
    let sealed = ring.seal(PLACE, b"text", &ambient);
    assert_eq!(key_id_of(&sealed), Some(&*id(NEW)));
    assert_eq!(sealer(NEW).open(PLACE, &sealed).unwrap(), b"text");
    let sealed = ring.seal_with(&id(OLD), PLACE, b"text", &ambient).unwrap();
    assert_eq!(key_id_of(&sealed), Some(&*id(OLD)));
    assert_eq!(ring.open(PLACE, &sealed).unwrap(), b"text");
    let unknown = SealError::UnknownKey { key_id: "00000000".to_owned() };
    assert_eq!(ring.seal_with("00000000", PLACE, b"text", &ambient), Err(unknown));
}

#[test]
fn a_program_without_the_secret_neither_seals_nor_opens() {
    let sealed = sealer(OLD).seal(PLACE, b"text").unwrap();
    let without = Sealer::without_keys(Ambient::system());
    assert_eq!(SealError::NoKeys.to_string(), "ENCRYPTION_KEY is not among the program's secrets");
    assert_eq!(without.seal(PLACE, b"text"), Err(SealError::NoKeys));
    assert_eq!(without.open(PLACE, &sealed), Err(SealError::NoKeys));
}

#[test]
fn a_ring_has_the_form_and_the_ids_of_other_rings() {
    let both = format!("{NEW}, {OLD}");
    assert_eq!(SealRing::parse(&both).unwrap().ids(), KeyRing::parse(&both).unwrap().ids());
    assert_eq!(SealRing::parse("").err(), Some(KeyRingError::Short));
    assert_eq!(SealRing::parse(&format!("{NEW},")).err(), Some(KeyRingError::Short));
    assert_eq!(SealRing::parse(&format!("{NEW},{NEW}")).err(), Some(KeyRingError::Twice));
}

/// What a closure of a transaction fails with.
#[test]
fn an_error_tells_a_database_whether_the_configuration_or_the_data_is_wrong() {
    let unknown = SealError::UnknownKey { key_id: id(OLD) };
    for (error, expected) in [
        (SealError::NoKeys, Error::Internal as fn(String) -> Error),
        (unknown, Error::Internal),
        (SealError::NotRecorded, Error::Unavailable),
        (SealError::Altered, Error::Corrupt),
        (SealError::Form, Error::Corrupt),
    ] {
        assert_eq!(Error::from(error.clone()), expected(error.to_string()));
    }
}
