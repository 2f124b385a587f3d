//! Where the secrets of a program come from.

mod remote;
mod source;

pub use remote::Secrets;
pub use source::{SecretSource, read_secrets_ttl};

/// The names of all secrets.
pub const ALL_SECRETS: [&str; 5] =
    ["JWT_PRIVATE_KEY", "PASSWORD_PEPPER", "SIGN_IN_KEY", "AUDIT_KEY", "ENCRYPTION_KEY"];
