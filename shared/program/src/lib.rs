//! Puts a program together: settings, database, kernel, identity. This is the only place that does so: the functions, the
//! local server and the tests all call it.
//!
//! The `main` of a function adds its router:
//!
//! ```no_run
//! # const FUNCTION: switchyard_runtime::Function = switchyard_runtime::Function::new("notes", "Notes");
//! # fn router(_: switchyard_identity::Identity) -> utoipa_axum::router::OpenApiRouter { Default::default() }
//! use switchyard_program::Program;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     switchyard_runtime::block_on(async {
//!         let program = Program::start(&FUNCTION).await?;
//!         let router = router(program.identity.clone());
//!         Ok(program.serve(router).await?)
//!     })
//! }
//! ```
//!
//! Programs without users, which schedules run, are a [`Task`].

mod program;
mod secrets;
mod task;

pub use program::{Program, StartError, assemble, assemble_announcing, collections, jobs, read_settings};
pub use secrets::{ALL_SECRETS, SecretSource, Secrets, read_secrets_ttl};
pub use task::Task;
