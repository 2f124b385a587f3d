//! Texts sealed by another implementation. They were computed with version 48 of Python's `cryptography`:
//!
//! ```python
//! import base64, hmac
//! from cryptography.hazmat.primitives.ciphers.aead import AESGCM
//! from cryptography.hazmat.primitives.hashes import SHA256
//! from cryptography.hazmat.primitives.kdf.hkdf import HKDF
//!
//! def seal(secret, place, salt, plaintext):
//!     key_id = hmac.digest(secret, b"switchyard: id of this key", "sha256")[:4].hex()
//!     derived = HKDF(SHA256(), 44, salt, b"switchyard seal 1").derive(secret)
//!     sealed = salt + AESGCM(derived[:32]).encrypt(derived[32:], plaintext, place)
//!     return key_id + "." + base64.urlsafe_b64encode(sealed).decode().rstrip("=")
//! ```

use switchyard_ambient::Randomness;

use super::sealer_with;

/// Returns the same salt for each text.
#[derive(Debug)]
struct Salt([u8; 16]);

impl Randomness for Salt {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0);
    }
}

fn check(secret: &str, place: &str, salt: [u8; 16], plaintext: &[u8], sealed: &str) {
    let sealer = sealer_with(secret, Salt(salt));
    assert_eq!(sealer.seal(place, plaintext).unwrap(), sealed);
    assert_eq!(sealer.open(place, sealed).unwrap(), plaintext);
}

#[test]
fn a_text() {
    check(
        "0123456789abcdef0123456789abcdef",
        "users/7/totp_secret",
        std::array::from_fn(|at| u8::try_from(at).unwrap()),
        b"JBSWY3DPEHPK3PXP",
        "898a63ca.AAECAwQFBgcICQoLDA0OD8LJee1_47LIrGfFdWyd5UA9LPxeHCRUY3QMpSICSida",
    );
}

#[test]
fn an_empty_text() {
    check(
        "0123456789abcdef0123456789abcdef",
        "jobs/1/payload",
        [0xff; 16],
        b"",
        "898a63ca._____________________1IT9mugNLd-3unM8iBQn7k",
    );
}

#[test]
fn a_long_text_under_a_long_secret() {
    check(
        "a key longer than one block of SHA-256 with characters beyond ASCII: ä € 𝄞",
        "notes/größe/text",
        std::array::from_fn(|at| u8::try_from(240 + at).unwrap()),
        &(0..100).collect::<Vec<u8>>(),
        "2f9e9082.8PHy8_T19vf4-fr7_P3-_wLnOVOYO-r6DWR7tvbrTsnY7H_i9qNTvMNMn4ZFBEb020TyffJa8PJ8Ik9V6ktj3RcJkZg1Ne1hjbCU4DWoxr69\
         oflCPz-4DmNqHOSe1pNl5FYGv_Rjc4KyVMj-4NjFfD8-_qPr-qYK2loZ_oe-MCOQMg4I",
    );
}
