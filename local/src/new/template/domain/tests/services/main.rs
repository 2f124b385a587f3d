//! Books on every database.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod changes;
mod limit;
mod lists;
mod world;
