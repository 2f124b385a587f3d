//! Tests jobs on every database: that none is lost, and that none runs twice where it must not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use(on_every_backend)]
extern crate switchyard_harness;

mod administration;
mod attempts;
mod claims;
mod outbox;
mod providers;
mod schedules;
mod serving;
mod world;
