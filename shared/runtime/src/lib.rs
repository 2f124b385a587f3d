//! Settings, the database factory, logs and metrics; and what runs a router, as a Lambda function or as a server.
//!
//! A program whose routes are all public needs no more than this. Programs with users are put together by
//! `switchyard-program`.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use switchyard_kernel::NoAuthenticator;
//! use switchyard_runtime::{Environment, Runtime, Settings};
//! # mod notes {
//! #     pub const COLLECTIONS: [&switchyard_database::Collection; 0] = [];
//! #     pub fn router(_: switchyard_database::Db) -> utoipa_axum::router::OpenApiRouter { Default::default() }
//! # }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     switchyard_runtime::block_on(async {
//!         let settings = Environment::of_process().read(Settings::read)?;
//!         let runtime = Runtime::start(settings).await?;
//!         runtime.migrate(notes::COLLECTIONS).await?;
//!         let router = notes::router(runtime.db().clone());
//!         runtime.serve(router, Arc::new(NoAuthenticator)).await?;
//!         Ok(())
//!     })
//! }
//! ```

mod access;
mod base_path;
mod database_url;
mod executor;
mod factory;
mod function;
mod lambda;
mod logs;
mod metrics;
mod path;
mod platform;
mod runtime;
mod server;
mod settings;

pub use access::{Access, Use};
pub use base_path::{BasePath, ParseBasePathError};
pub use database_url::{DatabaseUrl, ParseDatabaseUrlError};
pub use executor::block_on;
pub use factory::{ConnectError, connect};
pub use function::{Function, Schedule};
pub use logs::{LogFormat, LogSettings};
pub use metrics::{Metrics, MetricsError};
pub use platform::Platform;
pub use runtime::{Runtime, RuntimeError, Stopped};
pub use server::Stopping;
pub use settings::Settings;
pub use switchyard_settings::{
    Environment, Lifetime, ListedSetting, Listing, Setting, SettingDefault, SettingsError,
};
