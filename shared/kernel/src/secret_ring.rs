//! Rings of secrets: the first is used, and the others serve what was made before.

use std::fmt;

use ring::hmac;

use crate::hex;

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

/// What is made of the secrets of a setting, the one to use first. `Debug` shows their ids.
///
/// Each secret has an id that is derived from it and reveals nothing about it. What is stored carries the id of its secret. A
/// secret is changed in three steps. First the new one is added at the end, until every instance has it: an instance cannot
/// serve what was made with a secret that it lacks. Then the new secret is moved to the front. The old one is removed once
/// nothing needs it.
#[derive(Clone)]
pub struct SecretRing<K> {
    current: RingKey<K>,
    older: Vec<RingKey<K>>,
}

#[derive(Clone)]
struct RingKey<K> {
    id: String,
    key: K,
}

impl<K> SecretRing<K> {
    /// Reads secrets separated by commas, and keeps what `key` makes of each.
    pub fn parse(text: &str, key: impl Fn(&str) -> K) -> Result<Self, KeyRingError> {
        let mut keys: Vec<RingKey<K>> = Vec::new();
        for secret in text.split(',').map(str::trim) {
            if secret.chars().count() < MIN_KEY_CHARS {
                return Err(KeyRingError::Short);
            }
            let id = id_of(secret);
            if keys.iter().any(|other| other.id == id) {
                return Err(KeyRingError::Twice);
            }
            keys.push(RingKey { id, key: key(secret) });
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or(KeyRingError::Short)?;
        Ok(Self { current, older: keys.collect() })
    }

    /// The id of the key to use.
    pub fn current_id(&self) -> &str {
        &self.current.id
    }

    /// The key to use.
    pub fn current(&self) -> &K {
        &self.current.key
    }

    /// The key with this id.
    pub fn get(&self, id: &str) -> Option<&K> {
        self.entries().find(|entry| entry.id == id).map(|entry| &entry.key)
    }

    /// The ids of all keys, that of the current one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.entries().map(|entry| &*entry.id)
    }

    /// All keys, the current one first.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries().map(|entry| &entry.key)
    }

    fn entries(&self) -> impl Iterator<Item = &RingKey<K>> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

impl<K> fmt::Debug for SecretRing<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

fn id_of(secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex(&hmac::sign(&key, b"switchyard: id of this key").as_ref()[..4])
}
