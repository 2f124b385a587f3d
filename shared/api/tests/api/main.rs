//! The conventions, seen from outside: requests through the whole stack of layers, on SQLite in memory.

#![expect(clippy::unwrap_used, reason = "what surprises a test ends it")]

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
