//! The services of identity, on a database. What is decided by the database, races above all, is tested on every backend.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod audit;
mod import;
mod roles;
mod sessions;
mod users;
mod world;
