//! Tests the conventions from outside: requests go through all layers, on SQLite in memory.

#![expect(clippy::unwrap_used, reason = "a test fails on an unexpected error")]

mod authentication;
mod bodies;
mod conditional;
mod document;
mod errors;
mod harness;
mod headers;
mod idempotency;
mod lists;
mod logs;
mod rate_limits;
mod sample;
mod surplus;
