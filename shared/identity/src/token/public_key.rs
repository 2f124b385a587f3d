use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use rustls_pki_types::alg_id::{ECDSA_P256, RSA_ENCRYPTION};

use super::Jwk;
use super::verified::Verified;

/// A key that verifies tokens.
pub(super) struct PublicKey {
    jwk: Jwk,
    numbers: Numbers,
    verified: Verified,
}

enum Numbers {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// The point in the form of SEC 1 §2.3.3, without compression.
    P256(UnparsedPublicKey<Vec<u8>>),
}

/// The number of bytes of a coordinate on P-256.
const COORDINATE: usize = 32;
/// How a point without compression begins.
const UNCOMPRESSED: u8 = 4;

impl PublicKey {
    /// Reads an `RSAPublicKey` (RFC 8017 §A.1.1).
    pub(super) fn rsa(der: &[u8]) -> Option<Self> {
        let (key, _) = element(SEQUENCE, der)?;
        let (n, rest) = element(INTEGER, key)?;
        let (e, _) = element(INTEGER, rest)?;
        let unsigned = |integer: &[u8]| {
            integer.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>() // of a positive number
        };
        Self::rsa_of(unsigned(n), unsigned(e))
    }

    /// Reads a point of P-256 (SEC 1 §2.3.3). Whether it is on the curve is checked with each signature.
    pub(super) fn p256(point: &[u8]) -> Option<Self> {
        let (&form, coordinates) = point.split_first()?;
        if form != UNCOMPRESSED || coordinates.len() != 2 * COORDINATE {
            return None;
        }
        let (x, y) = coordinates.split_at(COORDINATE);
        let numbers = Numbers::P256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.to_vec()));
        Some(Self { jwk: Jwk::p256(x, y), numbers, verified: Verified::new() })
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    pub(super) fn of_info(der: &[u8]) -> Option<Self> {
        let (info, _) = element(SEQUENCE, der)?;
        let (algorithm, rest) = element(SEQUENCE, info)?;
        let (bits, _) = element(BIT_STRING, rest)?;
        let key = bits.strip_prefix(&[0])?; // all bits of the last byte are used
        if algorithm == RSA_ENCRYPTION.as_ref() {
            Self::rsa(key)
        } else if algorithm == ECDSA_P256.as_ref() {
            Self::p256(key)
        } else {
            None
        }
    }

    /// Reads a key that was published. Its id and algorithm are derived again, so that it can have no others.
    pub(super) fn of_jwk(jwk: &Jwk) -> Option<Self> {
        let decoded = |member: &Option<String>| URL_SAFE_NO_PAD.decode(member.as_ref()?).ok();
        match jwk.kty.as_str() {
            "RSA" => Self::rsa_of(decoded(&jwk.n)?, decoded(&jwk.e)?),
            "EC" => Self::p256(&[vec![UNCOMPRESSED], decoded(&jwk.x)?, decoded(&jwk.y)?].concat()),
            _ => None,
        }
    }

    fn rsa_of(n: Vec<u8>, e: Vec<u8>) -> Option<Self> {
        let jwk = is_usable(&n, &e).then(|| Jwk::rsa(&n, &e))?;
        Some(Self { jwk, numbers: Numbers::Rsa(RsaPublicKeyComponents { n, e }), verified: Verified::new() })
    }

    pub(super) fn id(&self) -> &str {
        &self.jwk.kid
    }

    /// The only algorithm that the key is used with (RFC 8725 §3.1).
    pub(super) fn algorithm(&self) -> &str {
        &self.jwk.alg
    }

    pub(super) fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Whether `signature` is a signature of `message` with this key.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verified.contains_or(message, signature, || match &self.numbers {
            Numbers::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok(),
            Numbers::P256(key) => key.verify(message, signature).is_ok(),
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// Whether signatures can be verified with this RSA key. ring checks a public key only when it verifies a signature.
fn is_usable(modulus: &[u8], exponent: &[u8]) -> bool {
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let value = exponent.iter().fold(0, |value: u64, &byte| value << 8 | u64::from(byte));
    (2048 / 8..=8192 / 8).contains(&modulus.len())
        && is_odd(modulus)
        && exponent.len() <= 5
        && (3..1 << 33).contains(&value)
        && is_odd(exponent)
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// The `RSAPublicKey` with this modulus and exponent.
    fn public_key_of(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let integer = |number: &[u8]| element_of(INTEGER, &[&[0], number].concat());
        element_of(SEQUENCE, &[integer(modulus), integer(exponent)].concat())
    }

    fn element_of(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]][..], content].concat()
    }

    fn info_of(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
        let (algorithm, key) =
            (element_of(SEQUENCE, algorithm), element_of(BIT_STRING, &[&[0], key].concat()));
        element_of(SEQUENCE, &[algorithm, key].concat())
    }

    #[test]
    fn the_id_of_a_key_is_its_thumbprint() {
        // RFC 7638 §3.1
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi\
                 FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnY\
                 b9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0\
                 Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let modulus = URL_SAFE_NO_PAD.decode(n).unwrap();
        let key = PublicKey::rsa(&public_key_of(&modulus, &[1, 0, 1])).unwrap();
        assert_eq!(key.id(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!((key.jwk.n.as_deref(), key.jwk.e.as_deref()), (Some(n), Some("AQAB")));
        // The key of RFC 7517 §A.1; its thumbprint was computed with `hashlib` of Python.
        let [x, y] =
            ["MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"]
                .map(|digits| URL_SAFE_NO_PAD.decode(digits).unwrap());
        let key = PublicKey::p256(&[vec![4], x, y].concat()).unwrap();
        assert_eq!(key.id(), "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
        assert_eq!((key.jwk.crv.as_deref(), key.algorithm()), (Some("P-256"), "ES256"));
    }

    #[test]
    fn a_published_key_is_read_with_the_id_that_follows_from_it() {
        let rsa = PublicKey::rsa(&public_key_of(&[0xff; 256], &[1, 0, 1])).unwrap();
        let p256 = PublicKey::p256(&[&[4][..], &[7; 64]].concat()).unwrap();
        for key in [rsa, p256] {
            let forged = Jwk { kid: "another".to_owned(), alg: "none".to_owned(), ..key.jwk.clone() };
            assert_eq!(PublicKey::of_jwk(&forged).unwrap().jwk, key.jwk);
            assert!(PublicKey::of_jwk(&Jwk { kty: "oct".to_owned(), ..key.jwk.clone() }).is_none());
            assert!(PublicKey::of_jwk(&Jwk { n: None, y: None, ..key.jwk }).is_none());
        }
    }

    #[test]
    fn a_key_is_read_from_its_info_by_its_algorithm() {
        let rsa = public_key_of(&[0xff; 256], &[1, 0, 1]);
        let point = [&[4][..], &[7; 64]].concat();
        let algorithm = |info: Vec<u8>| PublicKey::of_info(&info).map(|key| key.algorithm().to_owned());
        assert_eq!(algorithm(info_of(&RSA_ENCRYPTION, &rsa)).as_deref(), Some("RS256"));
        assert_eq!(algorithm(info_of(&ECDSA_P256, &point)).as_deref(), Some("ES256"));
        assert_eq!(algorithm(info_of(&ECDSA_P256, &rsa)), None);
        assert_eq!(algorithm(info_of(&RSA_ENCRYPTION, &point)), None);
        assert_eq!(algorithm(info_of(&rustls_pki_types::alg_id::ECDSA_P384, &point)), None);
        let compressed = [&[2][..], &[7; 32]].concat();
        assert_eq!(algorithm(info_of(&ECDSA_P256, &compressed)), None);
    }

    #[test]
    fn a_public_key_that_cannot_verify_is_refused() {
        let is_read =
            |modulus: &[u8], exponent: &[u8]| PublicKey::rsa(&public_key_of(modulus, exponent)).is_some();
        let odd = |bytes: usize| vec![0xff; bytes];
        assert!(is_read(&odd(256), &[1, 0, 1]));
        assert!(is_read(&odd(1024), &[3]));
        let too_short_too_long_and_even = [odd(255), odd(1025), [odd(255), vec![0xfe]].concat()];
        for modulus in too_short_too_long_and_even {
            assert!(!is_read(&modulus, &[1, 0, 1]), "{} bytes", modulus.len());
        }
        for exponent in [&[1][..], &[4], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 1]] {
            assert!(!is_read(&odd(256), exponent), "{exponent:?}");
        }
    }
}
