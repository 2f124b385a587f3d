use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::pem;
use super::verified::Verified;

/// Why a text does not contain signing keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not PEM.
    #[error("must contain keys in PEM")]
    NotPem,
    /// The first key is missing or cannot sign.
    #[error("must start with an RSA private key of 2048 to 4096 bits (PKCS#8 or PKCS#1)")]
    NoPrivateKey,
    /// A further key is not an RSA key that can verify.
    #[error(
        "must contain only RSA keys after the first: private keys of 2048 to 4096 bits or public keys of up to 8192 bits"
    )]
    NotRsa,
    /// A key could not be generated.
    #[cfg(feature = "local-secrets")]
    #[error("a key could not be generated")]
    NotMade,
}

/// The RSA keys of access tokens, parsed once: the first one signs, all of them verify.
///
/// To rotate the key, take three steps. Add the new key at the end, and wait until every instance and every
/// cache of `/.well-known/jwks.json` has it: without the key, a token cannot be verified. Then move it to the
/// front. Remove the old key after the last token that it signed has expired.
#[derive(Clone)]
pub struct SigningKeys(Arc<Keys>);

struct Keys {
    signer: RsaKeyPair,
    verifiers: Vec<Verifier>,
}

struct Verifier {
    id: String,
    key: UnparsedPublicKey<Vec<u8>>,
    verified: Verified,
    jwk: Jwk,
}

impl SigningKeys {
    /// Reads keys in PEM, one after the other. Keys that only verify may be public keys.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let blocks = pem::parse(text).ok_or(KeyError::NotPem)?;
        let mut blocks = blocks.iter();
        let first = blocks.next().ok_or(KeyError::NotPem)?;
        let signer = private_key(first).ok_or(KeyError::NoPrivateKey)?;
        let mut verifiers = vec![Verifier::new(signer.public_key().as_ref()).ok_or(KeyError::NoPrivateKey)?];
        for block in blocks {
            let verifier = match private_key(block) {
                Some(pair) => Verifier::new(pair.public_key().as_ref()),
                None => public_key(block).and_then(Verifier::new),
            };
            verifiers.push(verifier.ok_or(KeyError::NotRsa)?);
        }
        Ok(Self(Arc::new(Keys { signer, verifiers })))
    }

    /// Generates a key of 2048 bits, as PEM (PKCS#8).
    #[cfg(feature = "local-secrets")]
    pub fn generate_pem() -> Result<String, KeyError> {
        // ring signs and verifies, but does not generate RSA keys.
        use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
        use aws_lc_rs::rsa::{KeyPair, KeySize};

        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::NotMade)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::NotMade)?;
        Ok(pem::write("PRIVATE KEY", der.as_ref()))
    }

    /// The public keys, as `/.well-known/jwks.json` shows them (RFC 7517).
    pub fn jwks(&self) -> Jwks {
        Jwks { keys: self.0.verifiers.iter().map(|verifier| verifier.jwk.clone()).collect() }
    }

    /// The ids of all keys, the one that signs first.
    pub fn ids(&self) -> Vec<String> {
        self.0.verifiers.iter().map(|verifier| verifier.id.clone()).collect()
    }

    /// The id of the key that signs.
    pub(super) fn signer_id(&self) -> &str {
        self.0.verifiers.first().map_or("", |first| first.id.as_str())
    }

    /// The RS256 signature of `message` (RFC 8017 §8.2 with SHA-256); `None` if the library fails.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.0.signer.public().modulus_len()];
        self.0.signer.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
        Some(signature)
    }

    /// Whether `signature` is a signature of `message` with the key `id`.
    pub(super) fn verify(&self, id: &str, message: &[u8], signature: &[u8]) -> bool {
        let verifier = self.0.verifiers.iter().find(|verifier| verifier.id == id);
        verifier.is_some_and(|Verifier { key, verified, .. }| {
            verified.contains_or(message, signature, || key.verify(message, signature).is_ok())
        })
    }
}

/// Shows only the ids of the keys.
impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.verifiers.iter().map(|verifier| &verifier.id)).finish()
    }
}

impl Verifier {
    /// Reads an `RSAPublicKey` (RFC 8017 §A.1.1). The key's id is its thumbprint (RFC 7638), so that a key has
    /// the same id everywhere without being assigned one.
    fn new(der: impl AsRef<[u8]>) -> Option<Self> {
        let (modulus, exponent) = components(der.as_ref())?;
        if !is_usable(modulus, exponent) {
            return None;
        }
        let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
        let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()));
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der.as_ref().to_vec());
        let jwk = Jwk { kty: "RSA", public_key_use: "sig", alg: "RS256", kid: id.clone(), n, e };
        Some(Self { id, key, verified: Verified::new(), jwk })
    }
}

fn private_key(block: &pem::Block) -> Option<RsaKeyPair> {
    match block.label.as_str() {
        "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&block.der).ok(),
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(&block.der).ok(),
        _ => None,
    }
}

/// Whether signatures can be verified with this key. ring checks a public key only when it verifies a
/// signature.
fn is_usable(modulus: &[u8], exponent: &[u8]) -> bool {
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let value = exponent.iter().fold(0, |value: u64, &byte| value << 8 | u64::from(byte));
    (2048 / 8..=8192 / 8).contains(&modulus.len())
        && is_odd(modulus)
        && exponent.len() <= 5
        && (3..1 << 33).contains(&value)
        && is_odd(exponent)
}

/// The `RSAPublicKey` of a public key, which `PUBLIC KEY` wraps in a `SubjectPublicKeyInfo` (RFC 5280 §4.1).
fn public_key(block: &pem::Block) -> Option<&[u8]> {
    match block.label.as_str() {
        "RSA PUBLIC KEY" => Some(&block.der),
        "PUBLIC KEY" => {
            let (info, _) = element(SEQUENCE, &block.der)?;
            let (_algorithm, rest) = element(SEQUENCE, info)?;
            let (bits, _) = element(BIT_STRING, rest)?;
            bits.strip_prefix(&[0]) // all bits of the last byte are used
        }
        _ => None,
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// Modulus and exponent of an `RSAPublicKey`, without leading zeros.
fn components(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, _) = element(SEQUENCE, der)?;
    let (modulus, rest) = element(INTEGER, key)?;
    let (exponent, _) = element(INTEGER, rest)?;
    let unsigned = |integer: &'_ [u8]| integer.iter().take_while(|&&byte| byte == 0).count();
    Some((&modulus[unsigned(modulus)..], &exponent[unsigned(exponent)..]))
}

/// Splits `der` into the content of its first DER element (X.690 §8.1), which must have this tag, and the rest.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    if first == tag { rest.split_at_checked(length) } else { None }
}

/// A set of public keys (RFC 7517 §5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Jwks {
    /// The keys; the first one signs new tokens.
    pub keys: Vec<Jwk>,
}

/// A public key (RFC 7517 §4, RFC 7518 §6.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Jwk {
    /// The family: `RSA`.
    #[schema(example = "RSA")]
    pub kty: &'static str,
    /// The use: `sig`.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    pub public_key_use: &'static str,
    /// The algorithm: `RS256`.
    #[schema(example = "RS256")]
    pub alg: &'static str,
    /// The id, as in a token's header: the key's thumbprint (RFC 7638).
    pub kid: String,
    /// The modulus, big-endian, in base64url.
    pub n: String,
    /// The exponent, big-endian, in base64url.
    #[schema(example = "AQAB")]
    pub e: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_signs_and_all_verify() {
        let old_pem = SigningKeys::generate_pem().unwrap();
        let new_pem = SigningKeys::generate_pem().unwrap();
        let old = SigningKeys::from_pem(&old_pem).unwrap();
        let both = SigningKeys::from_pem(&(new_pem + &old_pem)).unwrap();
        let signature = old.sign(b"message").unwrap();
        assert!(both.verify(old.signer_id(), b"message", &signature));
        assert!(!both.verify(both.signer_id(), b"message", &signature));
        assert!(!both.verify(old.signer_id(), b"massage", &signature));
        assert!(!both.verify("unknown", b"message", &signature));
        let ids: Vec<_> = both.jwks().keys.into_iter().map(|key| key.kid).collect();
        assert_eq!(ids, [both.signer_id(), old.signer_id()]);
    }

    /// The `RSAPublicKey` with this modulus and exponent.
    fn public_key_of(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let integer = |number: &[u8]| element_of(INTEGER, &[&[0], number].concat());
        element_of(SEQUENCE, &[integer(modulus), integer(exponent)].concat())
    }

    fn element_of(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]][..], content].concat()
    }

    #[test]
    fn the_id_of_a_key_is_its_thumbprint() {
        // RFC 7638 §3.1
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi\
                 FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnY\
                 b9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0\
                 Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let modulus = URL_SAFE_NO_PAD.decode(n).unwrap();
        let verifier = Verifier::new(public_key_of(&modulus, &[1, 0, 1])).unwrap();
        assert_eq!(verifier.id, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!((verifier.jwk.n.as_str(), verifier.jwk.e.as_str()), (n, "AQAB"));
    }

    #[test]
    fn text_without_a_usable_key_is_refused() {
        assert_eq!(SigningKeys::from_pem("").err(), Some(KeyError::NotPem));
        let nonsense = pem::write("PRIVATE KEY", b"nonsense");
        assert_eq!(SigningKeys::from_pem(&nonsense).err(), Some(KeyError::NoPrivateKey));
        let good = SigningKeys::generate_pem().unwrap();
        assert_eq!(SigningKeys::from_pem(&(good + &nonsense)).err(), Some(KeyError::NotRsa));
    }

    #[test]
    fn a_public_key_that_cannot_verify_is_refused() {
        let first = SigningKeys::generate_pem().unwrap();
        let read = |modulus: &[u8], exponent: &[u8]| {
            let further = pem::write("RSA PUBLIC KEY", &public_key_of(modulus, exponent));
            SigningKeys::from_pem(&(first.clone() + &further)).err()
        };
        let odd = |bytes: usize| vec![0xff; bytes];
        assert_eq!(read(&odd(256), &[1, 0, 1]), None);
        assert_eq!(read(&odd(1024), &[3]), None);
        let too_short_too_long_and_even = [odd(255), odd(1025), [odd(255), vec![0xfe]].concat()];
        for modulus in too_short_too_long_and_even {
            assert_eq!(read(&modulus, &[1, 0, 1]), Some(KeyError::NotRsa), "{} bytes", modulus.len());
        }
        for exponent in [&[1][..], &[4], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 1]] {
            assert_eq!(read(&odd(256), exponent), Some(KeyError::NotRsa), "{exponent:?}");
        }
    }
}
