//! What the suite of the contract cannot see: how requests fail, what is stored, how it is migrated.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod endpoint;
mod failures;
mod migration;
mod stage;
mod storage;
