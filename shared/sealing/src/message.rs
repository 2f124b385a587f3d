//! The form of sealed texts: `<key id>.<base64url(salt ‖ ciphertext ‖ tag)>`, AES-256-GCM with the place as associated data.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use switchyard_settings::Secret;

/// The length of a key's id, in hexadecimal digits.
const KEY_ID_LEN: usize = 8;

/// The length of a salt. Among 2^64 messages of one secret two are expected to have the same.
pub(crate) const SALT_LEN: usize = 16;

/// What the derived bytes are for. Another form of the texts needs another one.
const INFO: &[&[u8]] = &[b"switchyard seal 1"];

/// The length of a key for AES-256.
const KEY_LEN: usize = 32;

/// Encrypts a text.
pub(crate) fn seal(
    (key_id, secret): (&str, &Secret),
    salt: [u8; SALT_LEN],
    place: &str,
    plaintext: &[u8],
) -> String {
    let (key, nonce) = key_of_message(secret, &salt);
    let mut text = plaintext.to_vec();
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::from(place.as_bytes()), &mut text)
        .expect("a text in memory should be shorter than 64 GiB");
    format!("{key_id}.{}", URL_SAFE_NO_PAD.encode([&salt[..], &text, tag.as_ref()].concat()))
}

/// Decrypts what follows the id of the key. `None` if it is not what was sealed with this secret at this place.
pub(crate) fn open(secret: &Secret, place: &str, message: &str) -> Option<Vec<u8>> {
    let message = URL_SAFE_NO_PAD.decode(message).ok()?;
    let (salt, text) = message.split_first_chunk()?;
    let (key, nonce) = key_of_message(secret, salt);
    let mut text = text.to_vec();
    let length = key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

/// The key of a single message, and the only nonce that it is used with (HKDF, RFC 5869).
fn key_of_message(secret: &Secret, salt: &[u8; SALT_LEN]) -> (LessSafeKey, Nonce) {
    let mut derived = [0; KEY_LEN + NONCE_LEN];
    Salt::new(HKDF_SHA256, salt)
        .extract(secret.expose().as_bytes())
        .expand(INFO, Length(derived.len()))
        .and_then(|bytes| bytes.fill(&mut derived))
        .expect("HKDF-SHA256 should yield up to 8,160 bytes");
    let (key, nonce) = derived.split_at(KEY_LEN);
    let key = UnboundKey::new(&AES_256_GCM, key).expect("a key for AES-256 should have 32 bytes");
    let nonce = Nonce::try_assume_unique_for_key(nonce).expect("a nonce should have 12 bytes");
    (LessSafeKey::new(key), nonce)
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Returns the id of the key that has sealed a text. `None` if the text does not have the form of a sealed one.
pub fn key_id_of(sealed: &str) -> Option<&str> {
    split(sealed).map(|(key_id, _)| key_id)
}

/// The id of the key, and the message.
pub(crate) fn split(sealed: &str) -> Option<(&str, &str)> {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_id = |id: &str| id.len() == KEY_ID_LEN && id.bytes().all(is_digit);
    sealed.split_once('.').filter(|(key_id, _)| is_id(key_id))
}
