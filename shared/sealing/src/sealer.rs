use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::Aad;
use switchyard_ambient::Ambient;
use switchyard_kernel::{ReplaceableSecret as _, Rotating};
use switchyard_settings::Environment;

use crate::seal_ring::{MessageKey, SALT_LEN};
use crate::{SealError, SealRing};

/// Hexadecimal digits of a key's id.
const KEY_ID_LEN: usize = 8;

/// Seals texts, and opens them. Cheap to clone.
///
/// A sealed text is `<key id>.<base64url(salt ‖ ciphertext ‖ tag)>`. The cipher is AES-256-GCM, with the place as associated
/// data. Key and nonce come from the secret and the salt, so each message has a key of its own.
#[derive(Clone, Debug)]
pub struct Sealer {
    keys: Rotating<SealRing>,
    ambient: Ambient,
}

impl Sealer {
    /// Creates a sealer from its keys and a source of salts.
    pub fn new(keys: Rotating<SealRing>, ambient: Ambient) -> Self {
        Self { keys, ambient }
    }

    /// The sealer of a program that does not have the secret. It fails with [`SealError::NoKey`].
    pub fn unavailable() -> Self {
        let no_variables: [(&str, &str); 0] = [];
        let keys = Environment::of(no_variables)
            .read(|environment| Rotating::read(environment, &[], SealRing::SETTING, SealRing::FORM, ""))
            .expect("a secret that is not needed should not be read");
        Self::new(keys, Ambient::system())
    }

    /// Encrypts a text for a place, `collection/id/field`, with the current key.
    ///
    /// # Errors
    ///
    /// [`SealError::NoKey`].
    ///
    /// # Panics
    ///
    /// Panics if the text is longer than AES-GCM permits, which is 64 GiB.
    pub fn seal(&self, place: &str, plaintext: &[u8]) -> Result<String, SealError> {
        let ring = self.ring()?;
        let secret = ring.current();
        let salt: [u8; SALT_LEN] = self.ambient.bytes();
        let MessageKey { key, nonce } = secret.of_message(&salt);
        let mut text = plaintext.to_vec();
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(place.as_bytes()), &mut text)
            .expect("a text in memory should be shorter than 64 GiB");
        let message = URL_SAFE_NO_PAD.encode([&salt[..], &text, tag.as_ref()].concat());
        Ok(format!("{}.{message}", secret.id))
    }

    /// Decrypts a text that was sealed at this place.
    ///
    /// # Errors
    ///
    /// Any [`SealError`].
    pub fn open(&self, place: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        let ring = self.ring()?;
        let (key_id, message) = split(sealed).ok_or(SealError::Altered)?;
        let secret = ring.key(key_id).ok_or_else(|| SealError::UnknownKey {
            setting: self.keys.setting(),
            key_id: key_id.to_owned(),
        })?;
        let message = URL_SAFE_NO_PAD.decode(message).map_err(|_| SealError::Altered)?;
        let (salt, text) = message.split_first_chunk().ok_or(SealError::Altered)?;
        let MessageKey { key, nonce } = secret.of_message(salt);
        let mut text = text.to_vec();
        let opened = key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut text);
        let length = opened.map_err(|_| SealError::Altered)?.len();
        text.truncate(length);
        Ok(text)
    }

    fn ring(&self) -> Result<Arc<SealRing>, SealError> {
        self.keys.current().ok_or_else(|| SealError::NoKey { setting: self.keys.setting() })
    }
}

/// Returns the id of the key that sealed a text. `None` if the text is not a sealed one.
pub fn key_id_of(sealed: &str) -> Option<&str> {
    split(sealed).map(|(key_id, _)| key_id)
}

fn split(sealed: &str) -> Option<(&str, &str)> {
    let (key_id, message) = sealed.split_once('.')?;
    let is_id =
        key_id.len() == KEY_ID_LEN && key_id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then_some((key_id, message))
}
