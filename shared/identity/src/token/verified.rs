use std::sync::{Mutex, PoisonError};

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

/// How many signatures are remembered: those of about as many callers, in 128 KiB.
const SLOTS: usize = 4096;

type Digest = [u8; SHA256_OUTPUT_LEN];

/// The signatures that one key has lately been found to have made, so that each is computed once and not with every
/// request that a token comes with. Nothing else that a token has to be is remembered.
pub(super) struct Verified {
    /// Each digest has its place, and is there until another one takes it.
    slots: Mutex<Vec<Digest>>,
}

impl Verified {
    pub(super) fn new() -> Self {
        Self { slots: Mutex::new(vec![Digest::default(); SLOTS]) }
    }

    /// Whether `signature` is one of `message`, as `verify` says unless it has said so before.
    pub(super) fn or_verify(&self, message: &[u8], signature: &[u8], verify: impl FnOnce() -> bool) -> bool {
        let digest = digest(message, signature);
        let slot = slot(&digest);
        let slots = || self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots()[slot] == digest {
            return true;
        }
        let is_valid = verify();
        if is_valid {
            slots()[slot] = digest;
        }
        is_valid
    }
}

fn slot(digest: &Digest) -> usize {
    usize::from(u16::from_be_bytes([digest[0], digest[1]])) % SLOTS
}

/// Of both, and of where one ends and the other begins.
fn digest(message: &[u8], signature: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(&message.len().to_be_bytes());
    context.update(message);
    context.update(signature);
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_found_valid_is_not_verified_again() {
        let verified = Verified::new();
        assert!(!verified.or_verify(b"message", b"signature", || false));
        assert!(verified.or_verify(b"message", b"signature", || true));
        assert!(verified.or_verify(b"message", b"signature", || false));
        for (message, signature) in [
            ("message", "signaturf"),
            ("messagf", "signature"),
            ("messages", "ignature"),
            ("messag", "esignature"),
        ] {
            assert!(!verified.or_verify(message.as_bytes(), signature.as_bytes(), || false), "{message}");
        }
    }

    #[test]
    fn one_that_takes_the_place_of_another_is_not_taken_for_it() {
        let verified = Verified::new();
        let place = |number: u32| slot(&digest(&number.to_be_bytes(), b""));
        let first = 0_u32;
        let second = (1..).find(|&number| place(number) == place(first)).unwrap();
        assert!(verified.or_verify(&first.to_be_bytes(), b"", || true));
        assert!(!verified.or_verify(&second.to_be_bytes(), b"", || false));
        assert!(verified.or_verify(&second.to_be_bytes(), b"", || true));
        assert!(!verified.or_verify(&first.to_be_bytes(), b"", || false));
    }
}
