use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use switchyard_ambient::Ambient;

const SEALING: &[&[u8]] = &[b"switchyard idempotency answer v1"];
const FINGERPRINT: &[&[u8]] = &[b"switchyard idempotency fingerprint v1"];

const SEED: &[&[u8]] = &[b"switchyard idempotency seed v1"];

/// The secret of a request, derived from the request alone. It yields the request's fingerprint, and the key
/// that encrypts its answer.
///
/// Answers of auth routes contain tokens. So answers are encrypted with a key that can be derived only from the
/// same `Idempotency-Key` and the same request (HKDF, RFC 5869). The store alone does not reveal the answer. It
/// also gives no way to try passwords, as a plain hash of the body would. This requires that the
/// `Idempotency-Key` cannot be guessed; a UUID, which the draft recommends, cannot.
pub(super) struct Secret {
    prk: Prk,
}

impl Secret {
    /// Derives the secret of a request.
    pub(super) fn of(record_id: &str, idempotency_key: &str, request: &[&[u8]]) -> Self {
        let prk = Salt::new(HKDF_SHA256, record_id.as_bytes())
            .extract(&framed(std::iter::once(idempotency_key.as_bytes()).chain(request.iter().copied())));
        Self { prk }
    }

    /// A text that differs between requests with the same key.
    pub(super) fn fingerprint(&self) -> Result<String, Unspecified> {
        Ok(URL_SAFE_NO_PAD.encode(self.expand::<16>(FINGERPRINT)?))
    }

    /// The seed of the secrets that domains derive from the request.
    pub(super) fn seed(&self) -> Result<[u8; 32], Unspecified> {
        self.expand(SEED)
    }

    /// Encrypts an answer. Returns base64url text.
    pub(super) fn seal(
        &self,
        record_id: &str,
        mut answer: Vec<u8>,
        ambient: &Ambient,
    ) -> Result<String, Unspecified> {
        let nonce: [u8; NONCE_LEN] = ambient.bytes();
        let aad = Aad::from(record_id.as_bytes());
        self.key()?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut answer)?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &answer].concat()))
    }

    /// Decrypts an answer.
    pub(super) fn open(&self, record_id: &str, sealed: &str) -> Result<Vec<u8>, Unspecified> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Unspecified)?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Unspecified)?;
        let mut answer = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key()?.open_in_place(nonce, Aad::from(record_id.as_bytes()), &mut answer)?.len();
        answer.truncate(length);
        Ok(answer)
    }

    fn key(&self) -> Result<LessSafeKey, Unspecified> {
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.expand::<32>(SEALING)?)?))
    }

    fn expand<const N: usize>(&self, info: &[&[u8]]) -> Result<[u8; N], Unspecified> {
        let mut bytes = [0; N];
        self.prk.expand(info, Length(N))?.fill(&mut bytes)?;
        Ok(bytes)
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// The id of a record. It is a hash, since its parts have any length and should not be readable in the store.
pub(super) fn record_id(parts: &[&str]) -> String {
    let parts = parts.iter().map(|part| part.as_bytes());
    URL_SAFE_NO_PAD.encode(digest(&SHA256, &framed(parts)).as_ref())
}

/// Joins parts, each after its length, so that different lists of parts give different bytes.
fn framed<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use switchyard_ambient::{ManualClock, SeededRandomness, Timestamp};

    use super::*;

    #[test]
    fn only_the_same_request_opens_an_answer() {
        let ambient = Ambient::new(ManualClock::at(Timestamp::from_micros(0)), SeededRandomness::new(1));
        let secret = Secret::of("id", "key", &[b"/path", b"body"]);
        let sealed = secret.seal("id", b"answer".to_vec(), &ambient).unwrap();
        assert_eq!(secret.open("id", &sealed).unwrap(), b"answer");
        assert!(Secret::of("id", "key", &[b"/path", b"other"]).open("id", &sealed).is_err());
        assert!(Secret::of("id", "yek", &[b"/path", b"body"]).open("id", &sealed).is_err());
        assert!(secret.open("other", &sealed).is_err());
    }

    #[test]
    fn the_boundaries_of_parts_matter() {
        assert_ne!(record_id(&["a", "bc"]), record_id(&["ab", "c"]));
        let one = Secret::of("id", "key", &[b"ab", b"c"]).fingerprint().unwrap();
        let other = Secret::of("id", "key", &[b"a", b"bc"]).fingerprint().unwrap();
        assert_ne!(one, other);
        assert_eq!(one.len(), 22);
    }
}
