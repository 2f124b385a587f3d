//! Tests of what the conformance suite cannot check: failing requests, the stored items, and migrations.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod endpoint;
mod failures;
mod migration;
mod stage;
mod storage;
