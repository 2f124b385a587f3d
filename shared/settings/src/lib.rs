//! Reads settings from the environment into types, and reports all faults in one message.
//!
//! Each crate reads its own settings from an [`Environment`]. The program combines them:
//!
//! ```
//! use switchyard_settings::{Environment, Lifetime, Secret};
//!
//! #[derive(Debug)]
//! struct TokenSettings {
//!     issuer: String,
//!     key: Secret,
//!     ttl: Lifetime,
//! }
//!
//! impl TokenSettings {
//!     // All settings are read before any is required, so that no fault hides another.
//!     fn read(environment: &mut Environment) -> Option<Self> {
//!         let issuer = environment.required("TOKEN_ISSUER");
//!         let key = environment.required("TOKEN_KEY");
//!         let ttl = environment.or("ACCESS_TOKEN_TTL", Lifetime::minutes(15));
//!         Some(Self { issuer: issuer?, key: key?, ttl: ttl? })
//!     }
//! }
//!
//! let environment = Environment::of([("TOKEN_KEY", "hunter2"), ("ACCESS_TOKEN_TTL", "soon")]);
//! let faults = environment.read(TokenSettings::read).unwrap_err();
//! assert_eq!(
//!     faults.to_string(),
//!     "these settings are missing or malformed:\n\
//!      - TOKEN_ISSUER is not set\n\
//!      - ACCESS_TOKEN_TTL must be a duration such as 90s, 15m, 24h or 30d"
//! );
//! ```

mod environment;
mod lifetime;
mod secret;

pub use environment::{Environment, SettingsError};
pub use lifetime::{Lifetime, ParseLifetimeError};
pub use secret::Secret;
