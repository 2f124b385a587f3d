use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::hmac::Tag;
use subtle::ConstantTimeEq as _;
use switchyard_ambient::{Ambient, Uuid};
use switchyard_kernel::{KeyRing, RequestKey, SessionId, hex};

use crate::Secret;

const ID_BYTES: usize = 16;
const FAMILY_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;
const BYTES: usize = ID_BYTES + FAMILY_BYTES + SECRET_BYTES;

/// A refresh token: the session's id, 128 random bits that all tokens of the session share, and a secret of 256 bits that is
/// new in each.
///
/// The shared bits distinguish a token that was used before from a forged one. Without them, either all used
/// tokens would have to be stored, or anyone who knows the id of a session, which is not secret, could end the
/// session with a forged token.
///
/// The first secret is random. Each other one is derived from the one before, with a key that only the service has. So the
/// service can tell the latest predecessor of the present token, and give it the same successor again, with nothing stored
/// but the hash of the present secret.
#[derive(Clone)]
pub(super) struct RefreshToken {
    pub(super) session_id: SessionId,
    family: [u8; FAMILY_BYTES],
    secret: [u8; SECRET_BYTES],
}

impl RefreshToken {
    /// The first token of a session.
    pub(super) fn first(session_id: SessionId, ambient: &Ambient) -> Self {
        Self { session_id, family: ambient.bytes(), secret: ambient.bytes() }
    }

    /// The first token of a session that was begun by a request with an `Idempotency-Key`. If the request is repeated, it
    /// gets the same token, although only its hash is stored. Without `keys`, the token cannot be found from the store by
    /// trying requests.
    pub(super) fn first_of_request(session_id: SessionId, key: &RequestKey, keys: &KeyRing) -> Self {
        let derived = |purpose| keys.current_code(&key.secret(purpose));
        let (mut family, mut secret) = ([0; FAMILY_BYTES], [0; SECRET_BYTES]);
        family.copy_from_slice(&derived("family of refresh tokens").as_ref()[..FAMILY_BYTES]);
        secret.copy_from_slice(derived("first refresh token").as_ref());
        Self { session_id, family, secret }
    }

    /// The token that follows this one.
    pub(super) fn next(&self, keys: &KeyRing) -> Self {
        self.with_secret(&keys.current_code(&self.to_derive_from()))
    }

    /// The token that follows this one, if its secret has this hash: with an older key, if the key was changed since.
    pub(super) fn next_with_hash(&self, keys: &KeyRing, secret_hash: &str) -> Option<Self> {
        let message = self.to_derive_from();
        let mut followers = keys.codes(&message).map(|code| self.with_secret(&code));
        followers.find(|next| is_same_hash(&next.secret_hash(), secret_hash))
    }

    /// The message whose code is the next secret.
    fn to_derive_from(&self) -> Vec<u8> {
        let purpose = b"refresh token that follows one of session ";
        [&purpose[..], self.session_id.uuid().as_bytes(), &self.secret].concat()
    }

    fn with_secret(&self, code: &Tag) -> Self {
        let mut secret = [0; SECRET_BYTES];
        secret.copy_from_slice(code.as_ref()); // HMAC-SHA256 has 32 bytes
        Self { secret, ..self.clone() }
    }

    /// Reads a token as a client sends it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() != BYTES.div_ceil(3) * 4 - 2 {
            return None; // without decoding it
        }
        let bytes: [u8; BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (id, rest) = bytes.split_first_chunk::<ID_BYTES>()?;
        let (family, secret) = rest.split_first_chunk::<FAMILY_BYTES>()?;
        let session_id = SessionId::from(Uuid::from_bytes(*id));
        Some(Self { session_id, family: *family, secret: *secret.first_chunk()? })
    }

    /// The token as clients receive it: 86 characters of base64url.
    pub(super) fn to_secret(&self) -> Secret {
        let parts = [&self.session_id.uuid().as_bytes()[..], &self.family, &self.secret].concat();
        Secret::new(URL_SAFE_NO_PAD.encode(parts))
    }

    /// The stored hash of the shared part. Random bits need no slow hash.
    pub(super) fn family_hash(&self) -> String {
        hex(digest(&SHA256, &self.family).as_ref())
    }

    /// The stored hash of the part that is new in each token.
    pub(super) fn secret_hash(&self) -> String {
        hex(digest(&SHA256, &self.secret).as_ref())
    }
}

/// Whether two hashes are equal. Takes constant time, so that the time does not reveal where they differ.
pub(super) fn is_same_hash(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use switchyard_ambient::{ManualClock, SeededRandomness, Timestamp};

    use super::*;

    #[test]
    fn a_token_is_read_unchanged_and_its_successor_shares_the_family() {
        let ambient = Ambient::new(ManualClock::at(Timestamp::from_micros(0)), SeededRandomness::new(1));
        let first = RefreshToken::first(ambient.uuid_v7().into(), &ambient);
        let text = first.to_secret();
        assert_eq!(text.expose().len(), 86);
        let read = RefreshToken::parse(text.expose()).unwrap();
        assert_eq!(read.session_id, first.session_id);
        assert_eq!((read.family_hash(), read.secret_hash()), (first.family_hash(), first.secret_hash()));
        let next = first.next(&keys("new-key-new-key-new-key-new-key-"));
        assert_eq!((next.session_id, next.family_hash()), (first.session_id, first.family_hash()));
        assert_ne!(next.secret_hash(), first.secret_hash());
    }

    fn keys(text: &str) -> KeyRing {
        KeyRing::parse(text).unwrap()
    }

    #[test]
    fn a_successor_is_found_again_with_its_key_and_from_its_predecessor_alone() {
        let ambient = Ambient::new(ManualClock::at(Timestamp::from_micros(0)), SeededRandomness::new(1));
        let old = keys("old-key-old-key-old-key-old-key-");
        let both = keys("new-key-new-key-new-key-new-key-, old-key-old-key-old-key-old-key-");
        let first = RefreshToken::first(ambient.uuid_v7().into(), &ambient);
        let (second, renewed) = (first.next(&old), first.next(&both));
        assert_ne!(second.secret, renewed.secret);
        for next in [&second, &renewed] {
            let found = first.next_with_hash(&both, &next.secret_hash()).unwrap();
            assert_eq!((found.secret, found.family), (next.secret, first.family));
        }
        assert!(first.next_with_hash(&old, &renewed.secret_hash()).is_none());
        let third = second.next(&old);
        assert!(first.next_with_hash(&old, &third.secret_hash()).is_none());
        assert!(second.next_with_hash(&old, &second.secret_hash()).is_none());
        let elsewhere = RefreshToken { session_id: ambient.uuid_v7().into(), ..first };
        assert!(elsewhere.next_with_hash(&old, &second.secret_hash()).is_none(), "of another session");
    }

    #[test]
    fn malformed_tokens_are_refused() {
        for text in ["", "x", &"A".repeat(85), &"A".repeat(87), &"!".repeat(86), &"é".repeat(43)] {
            assert!(RefreshToken::parse(text).is_none(), "{text}");
        }
    }
}
