use std::sync::{Mutex, PoisonError};

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

/// The number of signatures that are remembered, in 128 KiB. A caller uses about one.
const SLOTS: usize = 4096;

type Digest = [u8; SHA256_OUTPUT_LEN];

/// The signatures of one key that were recently verified, so that a signature is verified once and not with
/// every request that uses its token. All other checks of a token are made every time.
pub(super) struct Verified {
    /// A digest determines its slot, and stays there until another digest replaces it.
    slots: Mutex<Vec<Digest>>,
}

impl Verified {
    pub(super) fn new() -> Self {
        Self { slots: Mutex::new(vec![Digest::default(); SLOTS]) }
    }

    /// Whether `signature` is a valid signature of `message`. Calls `verify` only if this was not found valid
    /// before.
    pub(super) fn contains_or(
        &self,
        message: &[u8],
        signature: &[u8],
        verify: impl FnOnce() -> bool,
    ) -> bool {
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

/// The digest of both, including the length of the message, so that the boundary between them matters.
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
    fn only_a_valid_signature_is_not_verified_again() {
        let verified = Verified::new();
        assert!(!verified.contains_or(b"message", b"signature", || false));
        assert!(verified.contains_or(b"message", b"signature", || true));
        assert!(verified.contains_or(b"message", b"signature", || false));
        for (message, signature) in [
            ("message", "signaturf"),
            ("messagf", "signature"),
            ("messages", "ignature"),
            ("messag", "esignature"),
        ] {
            assert!(!verified.contains_or(message.as_bytes(), signature.as_bytes(), || false), "{message}");
        }
    }

    #[test]
    fn signatures_in_the_same_slot_are_not_confused() {
        let verified = Verified::new();
        let slot_of = |number: u32| slot(&digest(&number.to_be_bytes(), b""));
        let first = 0_u32;
        let second = (1..).find(|&number| slot_of(number) == slot_of(first)).unwrap();
        assert!(verified.contains_or(&first.to_be_bytes(), b"", || true));
        assert!(!verified.contains_or(&second.to_be_bytes(), b"", || false));
        assert!(verified.contains_or(&second.to_be_bytes(), b"", || true));
        assert!(!verified.contains_or(&first.to_be_bytes(), b"", || false));
    }
}
