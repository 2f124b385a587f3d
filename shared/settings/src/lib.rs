//! Reads settings from the environment into types, and reports all faults in one message.
//!
//! Each crate declares its own settings where it reads them from an [`Environment`]: the same declarations parse them and
//! list them. The program combines them:
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
//!         let issuer = environment.setting("TOKEN_ISSUER", "a text", "the issuer of access tokens").required();
//!         let key = environment.setting("TOKEN_KEY", "a text", "the key of access tokens").secret().required();
//!         let ttl = environment
//!             .setting("ACCESS_TOKEN_TTL", Lifetime::FORM, "how long an access token is valid")
//!             .or(Lifetime::minutes(15));
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
mod number;
mod public_url;
mod secret;
mod setting;
mod spelling;

pub use environment::{Environment, Listing, SettingsError};
pub use lifetime::{Lifetime, ParseLifetimeError};
pub use number::{NumberError, number_in};
pub use public_url::{ParsePublicUrlError, PublicUrl};
pub use secret::Secret;
pub use setting::{ListedSetting, Setting, SettingDefault};
pub use spelling::is_nearly;
