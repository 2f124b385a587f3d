use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::prelude::*;
use switchyard_ambient::SeededRandomness;
use switchyard_sealing::{SealError, key_id_of};

use super::{NEW, OLD, PLACE, sealer, sealer_with};

fn texts() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..200)
}

fn places() -> impl Strategy<Value = String> {
    ("[a-z_]{1,10}", "\\PC{0,20}", "[a-z_]{1,10}")
        .prop_map(|(collection, id, field)| format!("{collection}/{id}/{field}"))
}

/// Mostly those that a sealed text consists of.
fn characters() -> impl Strategy<Value = char> {
    prop_oneof![4 => proptest::char::range('+', 'z'), 1 => any::<char>()]
}

proptest! {
    #[test]
    fn what_is_sealed_opens_at_its_place(text in texts(), place in places(), seed: u64) {
        let sealer = sealer_with(OLD, SeededRandomness::new(seed));
        let sealed = sealer.seal(&place, &text).unwrap();
        prop_assert_eq!(sealer.open(&place, &sealed).unwrap(), text);
    }

    #[test]
    fn another_place_is_refused(text in texts(), place in places(), other in places()) {
        prop_assume!(place != other);
        let sealed = sealer(OLD).seal(&place, &text).unwrap();
        prop_assert_eq!(sealer(OLD).open(&other, &sealed), Err(SealError::Altered));
    }

    /// Even if the text is said to be of a key that the ring holds.
    #[test]
    fn another_key_is_refused(text in texts()) {
        let both = sealer(&format!("{NEW},{OLD}"));
        let sealed = both.seal(PLACE, &text).unwrap();
        let is_unknown = matches!(sealer(OLD).open(PLACE, &sealed), Err(SealError::UnknownKey { .. }));
        prop_assert!(is_unknown);
        let other = sealer(OLD).seal(PLACE, b"").unwrap();
        let renamed = sealed.replace(key_id_of(&sealed).unwrap(), key_id_of(&other).unwrap());
        prop_assert_eq!(both.open(PLACE, &renamed), Err(SealError::Altered));
    }

    #[test]
    fn every_altered_byte_is_refused(text in texts(), change in 1..=u8::MAX) {
        let sealer = sealer(OLD);
        let sealed = sealer.seal(PLACE, &text).unwrap();
        let (key_id, message) = sealed.split_once('.').unwrap();
        let message = URL_SAFE_NO_PAD.decode(message).unwrap();
        prop_assert_eq!(message.len(), 16 + text.len() + 16);
        for at in 0..message.len() {
            let mut altered = message.clone();
            altered[at] ^= change;
            let altered = format!("{key_id}.{}", URL_SAFE_NO_PAD.encode(altered));
            prop_assert_eq!(sealer.open(PLACE, &altered), Err(SealError::Altered));
        }
    }

    /// No two texts stand for one message: the last character, the padding and the alphabet of base64 give no choice.
    #[test]
    fn every_altered_character_is_refused(text in texts(), other in characters()) {
        let sealer = sealer(OLD);
        let sealed = sealer.seal(PLACE, &text).unwrap();
        let is_refused = |text: &str| sealer.open(PLACE, text).is_err();
        for (at, character) in sealed.char_indices() {
            let (before, after) = (&sealed[..at], &sealed[at + 1..]);
            let replaced = format!("{before}{other}{after}");
            let inserted = format!("{before}{other}{character}{after}");
            prop_assert!(character == other || is_refused(&replaced));
            prop_assert!(is_refused(&inserted));
            prop_assert!(is_refused(before));
        }
        let appended = format!("{sealed}{other}");
        prop_assert!(is_refused(&appended));
    }

    #[test]
    fn no_text_is_opened_that_was_not_sealed(text in "\\PC{0,100}", id in "[0-9a-f]{8}", message in texts()) {
        prop_assert!(sealer(OLD).open(PLACE, &text).is_err());
        let key = sealer(OLD).seal(PLACE, b"").unwrap();
        let key_id = key_id_of(&key).unwrap();
        let message = URL_SAFE_NO_PAD.encode(message);
        let forged = format!("{key_id}.{message}");
        prop_assert_eq!(sealer(OLD).open(PLACE, &forged), Err(SealError::Altered));
        let forged = format!("{id}.{message}");
        prop_assert!(sealer(OLD).open(PLACE, &forged).is_err());
    }

    #[test]
    fn no_two_sealed_texts_are_equal(text in texts(), seed: u64) {
        let sealer = sealer_with(OLD, SeededRandomness::new(seed));
        let (one, other) = (sealer.seal(PLACE, &text).unwrap(), sealer.seal(PLACE, &text).unwrap());
        let message = |sealed: &str| URL_SAFE_NO_PAD.decode(sealed.split_once('.').unwrap().1).unwrap();
        let (one, other) = (message(&one), message(&other));
        prop_assert_ne!(&one[..16], &other[..16], "the salts");
        prop_assert_ne!(&one[16..], &other[16..], "the ciphertexts and tags");
    }
}
