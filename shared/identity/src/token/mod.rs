//! Access tokens, and the keys that sign them.
//!
//! The tokens are signed and checked by ring directly rather than through a JWT library: jsonwebtoken parses the
//! private key anew for every signature, which takes almost three times as long as the signature does (measured: 5.3 ms
//! against 1.4 ms), and reads the machine's clock; and what is left of JWS once the algorithm is pinned is two dots and
//! base64.

mod access;
mod key;
#[cfg(feature = "local-secrets")]
mod local;
mod pem;
mod verified;

pub(crate) use access::{AccessClaims, TokenIssuer};
pub use key::{Jwk, Jwks, KeyError, SigningKeys};
#[cfg(feature = "local-secrets")]
pub use local::{LocalSecrets, LocalSecretsError};
