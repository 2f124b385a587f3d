//! Access tokens, and the keys that sign them.
//!
//! The tokens are signed and verified with ring directly rather than with a JWT library. The library
//! jsonwebtoken parses the private key again for every signature, which takes almost three times as long as the
//! signature itself (measured: 5.3 ms against 1.4 ms), and it reads the machine's clock. With one
//! algorithm for each key, the rest of JWS is two dots and base64.

mod access;
mod discovery;
mod jwk;
mod key;
mod keys;
#[cfg(feature = "local-secrets")]
mod local;
mod public_key;
mod published;
mod verified;

pub(crate) use access::{AccessClaims, TokenIssuer};
pub use discovery::Discovery;
pub use jwk::{Jwk, Jwks};
pub use key::{KeyError, SigningKeys};
pub(crate) use keys::TokenKeys;
#[cfg(feature = "local-secrets")]
pub use local::{LocalSecrets, LocalSecretsError};
pub(crate) use published::PublishedKeys;
