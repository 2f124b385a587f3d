//! Reads settings from the environment into types, and names every fault in one message.
//!
//! Each crate with settings of its own reads them through an [`Environment`]; the program gathers them:
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
//!     // First everything is read, then everything must be there: so no fault hides another.
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
//!      - ACCESS_TOKEN_TTL must be a time as in 90s, 15m, 24h or 30d"
//! );
//! ```

mod environment;
mod lifetime;
mod secret;

pub use environment::{Environment, SettingsError};
pub use lifetime::{Lifetime, ParseLifetimeError};
pub use secret::Secret;
