use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use switchyard_ambient::Ambient;
use switchyard_kernel::{Authenticator, ServiceCode};

const SEALING: &[&[u8]] = &[b"switchyard idempotency answer v1"];
const FINGERPRINT: &[&[u8]] = &[b"switchyard idempotency fingerprint v1"];

const SEED: &[&[u8]] = &[b"switchyard idempotency seed v1"];

/// A request with a key, from which its [`Secret`] is derived.
pub(super) struct KeyedRequest<'a> {
    /// Holds the keys of the service.
    pub(super) authenticator: &'a dyn Authenticator,
    pub(super) record_id: &'a str,
    pub(super) idempotency_key: &'a str,
    /// What makes it this request: target, cookies, headers, body.
    pub(super) parts: &'a [&'a [u8]],
}

impl KeyedRequest<'_> {
    /// The secret under the current key of the service.
    pub(super) fn secret(&self) -> Secret {
        // A program without keys has no users, whose passwords the store could reveal.
        let code = self.authenticator.code(None, self.record_id.as_bytes());
        self.derive(code.unwrap_or(ServiceCode { key_id: String::new(), code: Vec::new() }))
    }

    /// The secret under the key with which a record was written. `None` if the service no longer has the key.
    pub(super) fn secret_under(&self, key_id: &str) -> Option<Secret> {
        let current = self.secret();
        if current.key_id == key_id {
            return Some(current);
        }
        self.authenticator.code(Some(key_id), self.record_id.as_bytes()).map(|code| self.derive(code))
    }

    fn derive(&self, ServiceCode { key_id, code }: ServiceCode) -> Secret {
        let of_request = std::iter::once(self.idempotency_key.as_bytes()).chain(self.parts.iter().copied());
        let material = framed(std::iter::once(&*code).chain(of_request));
        Secret { key_id, prk: Salt::new(HKDF_SHA256, self.record_id.as_bytes()).extract(&material) }
    }
}

/// The secret of a request. It yields the request's fingerprint, and the key that encrypts its answer.
///
/// Answers of auth routes contain tokens. So answers are encrypted with a key that can be derived only from the same
/// `Idempotency-Key`, the same request, and a key of the service that is not in the store (HKDF, RFC 5869). The store alone
/// neither reveals an answer nor gives a way to try passwords, as a plain hash of the body would, even if the
/// `Idempotency-Key` can be guessed.
pub(super) struct Secret {
    /// The id of the service's key.
    pub(super) key_id: String,
    prk: Prk,
}

impl Secret {
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
    use async_trait::async_trait;
    use switchyard_ambient::{ManualClock, SeededRandomness, Timestamp};
    use switchyard_kernel::{AuthenticationError, KeyRing, Principal};

    use super::*;

    const OLD: &str = "old-key-old-key-old-key-old-key-";
    const NEW: &str = "new-key-new-key-new-key-new-key-";

    /// A service with these keys.
    #[derive(Debug)]
    struct Service(KeyRing);

    #[async_trait]
    impl Authenticator for Service {
        async fn authenticate(&self, _: &str, _: Timestamp) -> Result<Principal, AuthenticationError> {
            Err(AuthenticationError::Invalid)
        }

        fn code(&self, key_id: Option<&str>, message: &[u8]) -> Option<ServiceCode> {
            let key_id = key_id.unwrap_or(self.0.current_id()).to_owned();
            Some(ServiceCode { code: self.0.code(&key_id, message)?.as_ref().to_vec(), key_id })
        }
    }

    fn service(keys: &str) -> Service {
        Service(KeyRing::parse(keys).unwrap())
    }

    fn request<'a>(service: &'a Service, key: &'a str, parts: &'a [&'a [u8]]) -> KeyedRequest<'a> {
        KeyedRequest { authenticator: service, record_id: "id", idempotency_key: key, parts }
    }

    #[test]
    fn only_the_same_request_opens_an_answer() {
        let ambient = Ambient::new(ManualClock::at(Timestamp::from_micros(0)), SeededRandomness::new(1));
        let service = service(NEW);
        let secret = request(&service, "key", &[b"/path", b"body"]).secret();
        let sealed = secret.seal("id", b"answer".to_vec(), &ambient).unwrap();
        assert_eq!(secret.open("id", &sealed).unwrap(), b"answer");
        assert!(request(&service, "key", &[b"/path", b"other"]).secret().open("id", &sealed).is_err());
        assert!(request(&service, "yek", &[b"/path", b"body"]).secret().open("id", &sealed).is_err());
        assert!(secret.open("other", &sealed).is_err());
    }

    #[test]
    fn the_boundaries_of_parts_matter() {
        assert_ne!(record_id(&["a", "bc"]), record_id(&["ab", "c"]));
        let service = service(NEW);
        let one = request(&service, "key", &[b"ab", b"c"]).secret().fingerprint().unwrap();
        let other = request(&service, "key", &[b"a", b"bc"]).secret().fingerprint().unwrap();
        assert_ne!(one, other);
        assert_eq!(one.len(), 22);
    }

    #[test]
    fn a_request_alone_does_not_give_its_fingerprint() {
        let (ours, others) = (service(NEW), service(OLD));
        let fingerprint =
            |service| request(service, "k", &[b"the body with a password"]).secret().fingerprint();
        assert_ne!(fingerprint(&ours).unwrap(), fingerprint(&others).unwrap());
    }

    #[test]
    fn a_record_of_an_earlier_key_is_read_until_the_key_is_removed() {
        let (before, rotated, after) = (service(OLD), service(&format!("{NEW},{OLD}")), service(NEW));
        let first = request(&before, "key", &[b"body"]).secret();
        let again = request(&rotated, "key", &[b"body"]);
        assert_ne!(again.secret().seed().unwrap(), first.seed().unwrap());
        assert_eq!(again.secret_under(&first.key_id).unwrap().seed().unwrap(), first.seed().unwrap());
        assert!(request(&after, "key", &[b"body"]).secret_under(&first.key_id).is_none());
    }
}
