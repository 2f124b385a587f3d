use switchyard_ambient::{Ambient, SeededRandomness, SystemClock};
use switchyard_kernel::{KeyRing, KeyRingError, Keys as _, ReplaceableSecret as _, Rotating};
use switchyard_sealing::{SealError, SealRing, Sealer, key_id_of};

use super::{NEW, OLD, PLACE, sealer};

#[test]
fn the_first_key_seals_and_all_keys_open() {
    let before = sealer(OLD).seal(PLACE, b"text").unwrap();
    let both = sealer(&format!("{NEW}, {OLD}"));
    let after = both.seal(PLACE, b"text").unwrap();
    assert_eq!(both.open(PLACE, &before).unwrap(), b"text");
    assert_eq!(both.open(PLACE, &after).unwrap(), b"text");
    assert_eq!(key_id_of(&after), Some(SealRing::parse(NEW).unwrap().current_id()));
    assert_eq!(sealer(NEW).open(PLACE, &after).unwrap(), b"text");

    let key_id = SealRing::parse(OLD).unwrap().current_id().to_owned();
    let error = sealer(NEW).open(PLACE, &before).unwrap_err();
    let says = format!("the text was sealed with the key with the id {key_id}, which ENCRYPTION_KEY lacks");
    assert_eq!(error.to_string(), says);
    assert_eq!(error, SealError::UnknownKey { setting: "ENCRYPTION_KEY", key_id });
}

#[test]
fn every_clone_seals_with_the_key_that_replaces_another() {
    let keys = Rotating::new(SealRing::SETTING, SealRing::parse(OLD).unwrap());
    let sealer = Sealer::new(keys.clone(), Ambient::new(SystemClock, SeededRandomness::new(1)));
    let clone = sealer.clone();
    let before = clone.seal(PLACE, b"text").unwrap();
    keys.read_new(&format!("{NEW},{OLD}")).unwrap().replace();
    let after = clone.seal(PLACE, b"text").unwrap();
    assert_ne!(key_id_of(&after), key_id_of(&before));
    assert_eq!(sealer.open(PLACE, &before).unwrap(), b"text");
    assert_eq!(sealer.open(PLACE, &after).unwrap(), b"text");
}

#[test]
fn a_program_without_the_secret_neither_seals_nor_opens() {
    let sealed = sealer(OLD).seal(PLACE, b"text").unwrap();
    let without = Sealer::unavailable();
    let no_key = SealError::NoKey { setting: "ENCRYPTION_KEY" };
    assert_eq!(no_key.to_string(), "ENCRYPTION_KEY is not among the program's secrets");
    assert_eq!(without.seal(PLACE, b"text"), Err(no_key.clone()));
    assert_eq!(without.open(PLACE, &sealed), Err(no_key));
}

#[test]
fn a_ring_has_the_form_and_the_ids_of_other_rings() {
    let both = format!("{NEW}, {OLD}");
    assert_eq!(SealRing::parse(&both).unwrap().ids(), KeyRing::parse(&both).unwrap().ids());
    assert_eq!(SealRing::parse("").err(), Some(KeyRingError::Short));
    assert_eq!(SealRing::parse(&format!("{NEW},")).err(), Some(KeyRingError::Short));
    assert_eq!(SealRing::parse(&format!("{NEW},{NEW}")).err(), Some(KeyRingError::Twice));
}
