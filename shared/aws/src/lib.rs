//! What the clients of AWS services share: one HTTP client with one TLS stack, and region, credentials and endpoints from
//! where AWS SDKs read them. Also secrets from AWS Secrets Manager, which only programs with the feature `secrets-manager`
//! contain.

mod http;
#[cfg(feature = "secrets-manager")]
mod secrets_manager;
mod settings;

pub use http::Http;
#[cfg(feature = "secrets-manager")]
pub use secrets_manager::{SecretsManager, SecretsManagerError};
pub use settings::{WHERE_CREDENTIALS_ARE, load};
