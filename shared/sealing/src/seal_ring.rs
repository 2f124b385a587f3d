use std::fmt;

use ring::aead::{AES_256_GCM, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use switchyard_kernel::{KeyRing, KeyRingError, Keys};
use switchyard_settings::Secret;

/// Bytes of a salt: random ones may be expected to repeat only after 2^64 messages.
pub(crate) const SALT_LEN: usize = 16;

/// What the derived bytes are for. A change of the text's format needs another one.
const INFO: &[&[u8]] = &[b"switchyard seal 1"];

/// Bytes of a key for AES-256.
const KEY_LEN: usize = 32;

/// Keys for sealing: the first seals, all of them open.
///
/// They have the form and the ids of a [`KeyRing`]'s keys, and are replaced in the same steps. The old key is removed once no
/// stored text has its id.
#[derive(Clone)]
pub struct SealRing {
    current: SealKey,
    older: Vec<SealKey>,
}

#[derive(Clone)]
pub(crate) struct SealKey {
    pub(crate) id: String,
    secret: Secret,
}

/// The key of a single message, and the only nonce that it is used with.
pub(crate) struct MessageKey {
    pub(crate) key: LessSafeKey,
    pub(crate) nonce: Nonce,
}

impl SealRing {
    /// The setting whose secret this is.
    pub const SETTING: &'static str = "ENCRYPTION_KEY";

    /// What a ring may be, for `Environment::setting`.
    pub const FORM: &'static str = KeyRing::FORM;

    /// Reads keys separated by commas, the one to use first.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let ids = KeyRing::parse(text)?.ids(); // which are in the order of the text
        let secrets = text.split(',').map(|secret| Secret::new(secret.trim()));
        let mut keys = ids.into_iter().zip(secrets).map(|(id, secret)| SealKey { id, secret });
        let current = keys.next().ok_or(KeyRingError::Short)?;
        Ok(Self { current, older: keys.collect() })
    }

    /// The id of the key that seals.
    pub fn current_id(&self) -> &str {
        &self.current.id
    }

    pub(crate) fn current(&self) -> &SealKey {
        &self.current
    }

    pub(crate) fn key(&self, id: &str) -> Option<&SealKey> {
        self.keys().find(|key| key.id == id)
    }

    fn keys(&self) -> impl Iterator<Item = &SealKey> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

impl SealKey {
    /// Derives the key of a message from the message's salt (HKDF, RFC 5869).
    pub(crate) fn of_message(&self, salt: &[u8; SALT_LEN]) -> MessageKey {
        let mut derived = [0; KEY_LEN + NONCE_LEN];
        Salt::new(HKDF_SHA256, salt)
            .extract(self.secret.expose().as_bytes())
            .expand(INFO, Length(derived.len()))
            .and_then(|okm| okm.fill(&mut derived))
            .expect("HKDF-SHA256 should yield up to 8,160 bytes");
        let (key, nonce) = derived.split_at(KEY_LEN);
        let key = UnboundKey::new(&AES_256_GCM, key).expect("32 bytes should be a key for AES-256");
        let nonce = Nonce::try_assume_unique_for_key(nonce).expect("12 bytes should be a nonce");
        MessageKey { key: LessSafeKey::new(key), nonce }
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Keys for SealRing {
    type Fault = KeyRingError;

    fn parse(text: &str) -> Result<Self, KeyRingError> {
        Self::parse(text)
    }

    fn ids(&self) -> Vec<String> {
        self.keys().map(|key| key.id.clone()).collect()
    }
}

impl fmt::Debug for SealRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys().map(|key| &key.id)).finish()
    }
}
