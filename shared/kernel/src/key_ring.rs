//! Keys for codes. A key can be changed while codes of older keys can still be checked.

use ring::hmac;

use crate::{KeyRingError, Keys, SecretRing};

/// Keys for HMAC-SHA256 (RFC 2104): the first creates new codes, all of them check existing ones. Stored codes carry the id of
/// their key.
#[derive(Clone, Debug)]
pub struct KeyRing(SecretRing<hmac::Key>);

impl KeyRing {
    /// What a ring may be, for `Environment::setting`.
    pub const FORM: &'static str = "keys of at least 32 characters each, separated by commas";

    /// Reads keys separated by commas, the one to use first.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let key = |secret: &str| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        SecretRing::parse(text, key).map(Self)
    }

    /// The id of the key that creates new codes.
    pub fn current_id(&self) -> &str {
        self.0.current_id()
    }

    /// The ids of all keys, the one that creates new codes first.
    pub fn ids(&self) -> Vec<String> {
        self.0.ids().map(str::to_owned).collect()
    }

    /// The code of `message` under the key that creates new codes.
    pub fn current_code(&self, message: &[u8]) -> hmac::Tag {
        hmac::sign(self.0.current(), message)
    }

    /// Whether the ring holds the key of this id.
    pub fn holds(&self, id: &str) -> bool {
        self.0.get(id).is_some()
    }

    /// The code of `message` under the key `id`; `None` if the ring does not hold it.
    pub fn code(&self, id: &str, message: &[u8]) -> Option<hmac::Tag> {
        self.0.get(id).map(|key| hmac::sign(key, message))
    }

    /// The codes of `message` under all keys, that of the current one first.
    pub fn codes(&self, message: &[u8]) -> impl Iterator<Item = hmac::Tag> {
        self.0.keys().map(move |key| hmac::sign(key, message))
    }
}

impl Keys for KeyRing {
    type Fault = KeyRingError;

    fn parse(text: &str) -> Result<Self, KeyRingError> {
        Self::parse(text)
    }

    fn ids(&self) -> Vec<String> {
        self.ids()
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "new-key-new-key-new-key-new-key-";
    const OLD: &str = "old-key-old-key-old-key-old-key-";

    #[test]
    fn a_ring_makes_codes_with_its_first_key_and_knows_the_others() {
        let old = KeyRing::parse(OLD).unwrap();
        let both = KeyRing::parse(&format!("{NEW}, {OLD}")).unwrap();
        assert_ne!(both.current_id(), old.current_id());
        let code = old.code(old.current_id(), b"message").unwrap();
        assert_eq!(both.code(old.current_id(), b"message").unwrap().as_ref(), code.as_ref());
        assert_eq!(old.current_code(b"message").as_ref(), code.as_ref());
        assert_ne!(both.current_code(b"message").as_ref(), code.as_ref());
        let all: Vec<_> = both.codes(b"message").map(|code| code.as_ref().to_vec()).collect();
        assert_eq!(all, [both.current_code(b"message").as_ref(), code.as_ref()]);
        assert!(old.code(both.current_id(), b"message").is_none());
    }

    #[test]
    fn short_and_repeated_keys_are_refused() {
        assert_eq!(KeyRing::parse("").err(), Some(KeyRingError::Short));
        assert_eq!(KeyRing::parse(&format!("{NEW},")).err(), Some(KeyRingError::Short));
        assert_eq!(KeyRing::parse(&format!("{NEW},{NEW}")).err(), Some(KeyRingError::Twice));
    }

    #[test]
    fn nothing_secret_is_shown() {
        assert!(!format!("{:?}", KeyRing::parse(NEW).unwrap()).contains("new-key"));
    }
}
