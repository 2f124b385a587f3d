//! Helpers for the tests: empty databases on every backend, routes in the test's process, processes of the real
//! binaries, the Lambda emulator, the routes of the deployment template.
//!
//! The database servers are real; `local/servers` starts them. If one is missing, its tests fail with a message
//! that says how to start it. No test is ever skipped.

pub mod app;
pub mod emulator;
pub mod identity;
pub mod lost_reply;
pub mod meter;
pub mod process;
pub mod secrets_manager;
pub mod servers;
pub mod store;
pub mod template;
pub mod watched;
pub mod world;

#[doc(hidden)]
pub use tokio; // for the tests that `on_every_backend` writes

/// Returns the value of a variable that `local/servers env` sets.
///
/// # Panics
///
/// If it is not set: the tests need the servers.
pub fn required(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: run the tests with local/test, or start the servers with `local/servers start` and \
             set their variables with `eval \"$(local/servers env)\"`"
        )
    })
}
