//! Helpers for the tests of this crate and of its users.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use switchyard_ambient::Ambient;
use switchyard_jobs::{NoAnnouncer, Outbox, Payloads};
use switchyard_kernel::{KernelSettings, KeyRing, Rotating};

pub use crate::session::rewritten_refresh_token;
use crate::{IdentitySettings, SigningKeys};

/// Generating a key takes longer than a whole test, so there is one per process.
static KEYS: LazyLock<SigningKeys> = LazyLock::new(|| {
    let pem = SigningKeys::generate_pem().expect("a key can be generated");
    SigningKeys::from_pem(&pem).expect("a generated key can be read")
});

/// The password of the users that tests register.
pub const PASSWORD: &str = "a-passphrase-of-the-tests-31";

/// The key of the audit log in [`kernel_settings`].
pub const AUDIT_KEY: &str = "audit key for tests and in no way secret";

/// Settings for tests: the documented ones, except that hashing a password is cheap.
///
/// # Panics
///
/// If no key can be generated.
pub fn settings() -> IdentitySettings {
    IdentitySettings {
        signing_keys: Rotating::new("JWT_PRIVATE_KEY", KEYS.clone()),
        password_pepper: Rotating::new("PASSWORD_PEPPER", ring("pepper for tests and in no way secret")),
        sign_in_keys: Rotating::new("SIGN_IN_KEY", ring("sign-in key for tests and in no way secret")),
        public_url: "https://api.example.com".parse().ok(),
        token_issuer: "switchyard".to_owned(),
        token_audience: "switchyard".to_owned(),
        access_token_ttl: Duration::from_secs(15 * 60),
        refresh_token_ttl: Duration::from_secs(30 * 24 * 60 * 60),
        session_max_ttl: Duration::from_secs(90 * 24 * 60 * 60),
        refresh_grace: Duration::from_secs(10),
        bcrypt_cost: 4,
        password_hash_threads: 4,
        first_admin: None,
    }
}

fn ring(text: &str) -> KeyRing {
    KeyRing::parse(text).expect("the keys are long enough")
}

/// Settings of the kernel for tests.
pub fn kernel_settings() -> KernelSettings {
    KernelSettings::with_audit_keys(ring(AUDIT_KEY))
}

/// An outbox for tests, whose jobs are not announced.
pub fn outbox(ambient: &Ambient) -> Outbox {
    Outbox::new(ambient.clone(), Payloads::unsealed(), Arc::new(NoAnnouncer))
}

/// A token with any header and claims, signed with the key of [`settings`]. Tests use it to check that a valid
/// signature alone is not enough.
///
/// # Panics
///
/// If the key cannot sign.
pub fn signed_token(header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = KEYS.sign(message.as_bytes()).expect("the key can sign");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
