//! Settings, the database factory, logs and metrics; and what runs a router, as a Lambda function or as a server.
//!
//! The `main.rs` of a function needs no more than this, and less with `Program` of `switchyard-identity-http`:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use switchyard_runtime::{Environment, Runtime, Settings};
//! # use switchyard_api::*;
//! # use switchyard_database::{Collection, Db};
//! # use utoipa_axum::router::OpenApiRouter;
//! # #[derive(Debug)] struct Tokens;
//! # #[async_trait::async_trait]
//! # impl Authenticator for Tokens {
//! #     async fn authenticate(&self, _: &str) -> Result<Caller, AuthenticationError> { Err(AuthenticationError::Invalid) }
//! # }
//! # struct TokenSettings;
//! # impl TokenSettings { fn read(_: &mut Environment) -> Option<Self> { Some(Self) } }
//! # impl Tokens { fn new(_: TokenSettings) -> Self { Self } }
//! # mod notes {
//! #     pub const COLLECTIONS: [&switchyard_database::Collection; 0] = [];
//! #     pub fn router(_: switchyard_database::Db) -> utoipa_axum::router::OpenApiRouter { Default::default() }
//! # }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     switchyard_runtime::block_on(async {
//!         let (settings, tokens) = Environment::of_process().read(|environment| {
//!             let (settings, tokens) = (Settings::read(environment), TokenSettings::read(environment));
//!             Some((settings?, tokens?))
//!         })?;
//!         let runtime = Runtime::start(settings).await?;
//!         runtime.migrate(notes::COLLECTIONS).await?;
//!         let router = notes::router(runtime.db().clone());
//!         runtime.serve(router, Arc::new(Tokens::new(tokens))).await?;
//!         Ok(())
//!     })
//! }
//! ```

mod database_url;
mod executor;
mod factory;
mod impatient;
mod lambda;
mod logs;
mod metrics;
mod platform;
mod runtime;
mod server;
mod settings;

pub use database_url::{DatabaseUrl, ParseDatabaseUrlError};
pub use executor::block_on;
pub use factory::{ConnectError, connect};
pub use logs::{LogFormat, LogSettings};
pub use metrics::{Metrics, MetricsError};
pub use platform::Platform;
pub use runtime::{Runtime, RuntimeError};
pub use settings::Settings;
pub use switchyard_settings::{Environment, SettingsError};
