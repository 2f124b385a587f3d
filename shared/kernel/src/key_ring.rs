//! Rings of secret keys. A key can be changed while codes of older keys can still be checked.

use std::fmt;

use ring::hmac;

use crate::Keys;

/// Why a text is not a ring of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// A key is missing or short.
    #[error("must hold keys of at least {MIN_KEY_CHARS} characters each, separated by commas")]
    Short,
    /// Two keys have one id, because they are the same.
    #[error("must not name a key twice")]
    Twice,
}

/// Shorter keys could be searched: 32 characters of hexadecimal are 128 bits.
const MIN_KEY_CHARS: usize = 32;

/// Keys for HMAC-SHA256 (RFC 2104): the first creates new codes, all of them check existing ones.
///
/// Each key has an id that is derived from it and reveals nothing about it. Stored codes carry the id of their key. A key
/// is changed in three steps. First the new key is added at the end, until every instance has it: an instance cannot check
/// a code whose key it lacks. Then the new key is moved to the front. The old key is removed once nothing needs it.
#[derive(Clone)]
pub struct KeyRing {
    current: RingKey,
    older: Vec<RingKey>,
}

#[derive(Clone)]
struct RingKey {
    id: String,
    key: hmac::Key,
}

impl KeyRing {
    /// What a ring may be, for `Environment::setting`.
    pub const FORM: &'static str = "keys of at least 32 characters each, separated by commas";

    /// Reads keys separated by commas, the one to use first.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut keys: Vec<RingKey> = Vec::new();
        for secret in text.split(',').map(str::trim) {
            if secret.chars().count() < MIN_KEY_CHARS {
                return Err(KeyRingError::Short);
            }
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let id = hex(&hmac::sign(&key, b"switchyard: id of this key").as_ref()[..4]);
            if keys.iter().any(|other| other.id == id) {
                return Err(KeyRingError::Twice);
            }
            keys.push(RingKey { id, key });
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or(KeyRingError::Short)?;
        Ok(Self { current, older: keys.collect() })
    }

    /// The id of the key that creates new codes.
    pub fn current_id(&self) -> &str {
        &self.current.id
    }

    /// The ids of all keys, the one that creates new codes first.
    pub fn ids(&self) -> Vec<String> {
        self.keys().map(|key| key.id.clone()).collect()
    }

    /// The code of `message` under the key that creates new codes.
    pub fn current_code(&self, message: &[u8]) -> hmac::Tag {
        hmac::sign(&self.current.key, message)
    }

    /// Whether the ring holds the key of this id.
    pub fn holds(&self, id: &str) -> bool {
        self.keys().any(|key| key.id == id)
    }

    /// The code of `message` under the key `id`; `None` if the ring does not hold it.
    pub fn code(&self, id: &str, message: &[u8]) -> Option<hmac::Tag> {
        self.keys().find(|key| key.id == id).map(|key| hmac::sign(&key.key, message))
    }

    /// The codes of `message` under all keys, that of the current one first.
    pub fn codes(&self, message: &[u8]) -> impl Iterator<Item = hmac::Tag> {
        self.keys().map(move |key| hmac::sign(&key.key, message))
    }

    fn keys(&self) -> impl Iterator<Item = &RingKey> {
        std::iter::once(&self.current).chain(&self.older)
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

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys().map(|key| &key.id)).finish()
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
