//! What the tests stand on: fresh databases on every backend, routes served in the test's process, processes of the real
//! binaries, the Lambda emulator, the routes of the deployment template.
//!
//! The servers are real and `local/servers` starts them. One that is not there fails its tests with a sentence; no test
//! is ever skipped.

pub mod app;
pub mod emulator;
pub mod identity;
pub mod process;
pub mod servers;
pub mod store;
pub mod template;

/// The value of a variable that `local/servers env` sets.
///
/// # Panics
///
/// Where it is not set: the tests need the servers.
pub fn required(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: run the tests with local/test, or start the servers with `local/servers start` and \
             set their variables with `eval \"$(local/servers env)\"`"
        )
    })
}
