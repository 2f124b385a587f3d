use std::fmt;
use std::sync::Arc;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls_pki_types::pem::{PemObject as _, SectionKind};

use super::Jwks;
use super::public_key::PublicKey;

/// Why a text does not contain signing keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not PEM.
    #[error("must contain keys in PEM")]
    NotPem,
    /// The first key is missing or cannot sign.
    #[error(
        "must start with a private key: RSA of 2048 to 4096 bits (PKCS#8 or PKCS#1), or EC on the curve P-256 (PKCS#8)"
    )]
    NoPrivateKey,
    /// A further key cannot verify.
    #[error(
        "must contain only RSA and P-256 keys after the first: private keys of the same forms, or public keys \
         (SubjectPublicKeyInfo), those of RSA with up to 8192 bits"
    )]
    NotVerifying,
    /// A key could not be generated.
    #[cfg(feature = "local-secrets")]
    #[error("a key could not be generated")]
    NotMade,
}

/// The keys of access tokens, parsed once: the first one signs, all of them verify. An RSA key signs with RS256, and a key on
/// the curve P-256 with ES256.
///
/// To rotate the key, put the new one to the front. It is published before it signs, and a program that does not know it yet
/// reads it when it sees a token of it. Where others check tokens with a copy of `/.well-known/jwks.json`, first add the key at
/// the end, and wait until every copy has it. Remove the old key after the last token that it signed has expired.
#[derive(Clone)]
pub struct SigningKeys(Arc<Keys>);

struct Keys {
    signer: Signer,
    verifiers: Vec<Arc<PublicKey>>,
}

enum Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

/// A key in PEM.
type Block = (SectionKind, Vec<u8>);

impl SigningKeys {
    /// Reads keys in PEM, one after the other. Keys that only verify may be public keys.
    ///
    /// Some environment variables cannot contain line breaks, so the two characters `\n` also count as one.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let text = text.replace("\\n", "\n");
        let blocks = Block::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
        let blocks = blocks.map_err(|_| KeyError::NotPem)?;
        let (first, further) = blocks.split_first().ok_or(KeyError::NotPem)?;
        if text.matches("-----BEGIN ").count() != blocks.len() {
            return Err(KeyError::NotVerifying); // the parser leaves out what it does not know
        }
        let signer = Signer::of(first).ok_or(KeyError::NoPrivateKey)?;
        let mut verifiers = vec![Arc::new(signer.public_key().ok_or(KeyError::NoPrivateKey)?)];
        for block in further {
            let verifier = match block {
                (SectionKind::PublicKey, der) => PublicKey::of_info(der),
                private => Signer::of(private).and_then(|key| key.public_key()),
            };
            verifiers.push(Arc::new(verifier.ok_or(KeyError::NotVerifying)?));
        }
        Ok(Self(Arc::new(Keys { signer, verifiers })))
    }

    /// Generates an RSA key of 3,072 bits, as PEM (PKCS#8). As strong as the other keys and codes: 128 bits (NIST SP 800-57).
    #[cfg(feature = "local-secrets")]
    pub fn generate_pem() -> Result<String, KeyError> {
        // ring signs and verifies, but does not generate RSA keys.
        use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
        use aws_lc_rs::rsa::{KeyPair, KeySize};

        let pair = KeyPair::generate(KeySize::Rsa3072).map_err(|_| KeyError::NotMade)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::NotMade)?;
        Ok(write_pem("PRIVATE KEY", der.as_ref()))
    }

    /// Generates a key on the curve P-256, as PEM (PKCS#8).
    #[cfg(any(test, feature = "testing"))]
    pub fn generate_p256_pem() -> Result<String, KeyError> {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        Ok(write_pem("PRIVATE KEY", der.map_err(|_| KeyError::NotMade)?.as_ref()))
    }

    /// The public keys, as `/.well-known/jwks.json` shows them (RFC 7517).
    pub fn jwks(&self) -> Jwks {
        Jwks { keys: self.verifiers().iter().map(|verifier| verifier.jwk().clone()).collect() }
    }

    /// The ids of all keys, the one that signs first.
    pub fn ids(&self) -> Vec<String> {
        self.verifiers().iter().map(|verifier| verifier.id().to_owned()).collect()
    }

    pub(super) fn verifiers(&self) -> &[Arc<PublicKey>] {
        &self.0.verifiers
    }

    /// The id of the key that signs, and its algorithm.
    pub(super) fn signer(&self) -> (&str, &str) {
        self.verifiers().first().map_or(("", ""), |first| (first.id(), first.algorithm()))
    }

    /// The signature of `message`; `None` if the library fails.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.0.signer {
            Signer::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Signer::P256(key) => Some(key.sign(&random, message).ok()?.as_ref().to_vec()),
        }
    }
}

impl switchyard_kernel::Keys for SigningKeys {
    type Fault = KeyError;

    fn parse(text: &str) -> Result<Self, KeyError> {
        Self::from_pem(text)
    }

    fn ids(&self) -> Vec<String> {
        self.ids()
    }
}

/// Shows only the ids of the keys.
impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.verifiers()).finish()
    }
}

impl Signer {
    fn of((kind, der): &Block) -> Option<Self> {
        match kind {
            SectionKind::PrivateKey => {
                RsaKeyPair::from_pkcs8(der).map(Self::Rsa).ok().or_else(|| Self::p256(der))
            }
            SectionKind::RsaPrivateKey => RsaKeyPair::from_der(der).map(Self::Rsa).ok(),
            _ => None,
        }
    }

    fn p256(pkcs8: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new());
        pair.map(Self::P256).ok()
    }

    fn public_key(&self) -> Option<PublicKey> {
        match self {
            Self::Rsa(pair) => PublicKey::rsa(pair.public_key().as_ref()),
            Self::P256(pair) => PublicKey::p256(pair.public_key().as_ref()),
        }
    }
}

/// Formats one key as PEM (RFC 7468), which the library that parses it cannot.
#[cfg(any(test, feature = "local-secrets"))]
fn write_pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;

    let digits = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifies(keys: &SigningKeys, id: &str, message: &[u8], signature: &[u8]) -> bool {
        keys.verifiers().iter().any(|key| key.id() == id && key.verify(message, signature))
    }

    #[test]
    fn the_first_key_signs_and_all_verify() {
        let pems = [SigningKeys::generate_pem().unwrap(), SigningKeys::generate_p256_pem().unwrap()];
        for [old_pem, new_pem] in [pems.clone(), [pems[1].clone(), pems[0].clone()]] {
            let old = SigningKeys::from_pem(&old_pem).unwrap();
            let both = SigningKeys::from_pem(&(new_pem + &old_pem)).unwrap();
            let (old_id, both_id) = (old.signer().0, both.signer().0);
            let signature = old.sign(b"message").unwrap();
            assert!(verifies(&both, old_id, b"message", &signature));
            assert!(!verifies(&both, both_id, b"message", &signature));
            assert!(!verifies(&both, old_id, b"massage", &signature));
            assert!(!verifies(&both, "unknown", b"message", &signature));
            let ids: Vec<_> = both.jwks().keys.into_iter().map(|key| key.kid).collect();
            assert_eq!(ids, [both_id, old_id]);
            assert_eq!(ids, both.ids());
        }
    }

    #[test]
    fn new_rsa_keys_have_3072_bits() {
        let keys = SigningKeys::from_pem(&SigningKeys::generate_pem().unwrap()).unwrap();
        let signature = keys.sign(b"message").unwrap();
        assert_eq!((signature.len() * 8, keys.signer().1), (3072, "RS256"));
    }

    #[test]
    fn line_breaks_may_be_escaped() {
        let pem = SigningKeys::generate_p256_pem().unwrap() + &SigningKeys::generate_p256_pem().unwrap();
        let keys = SigningKeys::from_pem(&pem).unwrap();
        assert_eq!(keys.ids().len(), 2);
        assert_eq!(SigningKeys::from_pem(&pem.replace('\n', "\\n")).unwrap().ids(), keys.ids());
    }

    #[test]
    fn text_without_a_usable_key_is_refused() {
        let fault = |text: &str| SigningKeys::from_pem(text).err();
        for text in
            ["", "no key at all", "-----BEGIN PRIVATE KEY-----\nAAA\n", "-----BEGIN PRIVATE KEY-----\n"]
        {
            assert_eq!(fault(text), Some(KeyError::NotPem), "{text}");
        }
        let broken = "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n";
        assert_eq!(fault(broken), Some(KeyError::NotPem));
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "PUBLIC KEY"] {
            let nonsense = write_pem(label, b"nonsense");
            assert_eq!(fault(&nonsense), Some(KeyError::NoPrivateKey), "{label}");
            let good = SigningKeys::generate_p256_pem().unwrap();
            assert_eq!(fault(&(good + &nonsense)), Some(KeyError::NotVerifying), "{label}");
        }
        // A form that the parser passes over is not left out in silence.
        let good = SigningKeys::generate_p256_pem().unwrap();
        let unknown = write_pem("RSA PUBLIC KEY", b"nonsense");
        assert_eq!(fault(&(good + &unknown)), Some(KeyError::NotVerifying));
    }
}
