//! Work that a transaction leaves for later: the outbox, the worker that does it, schedules, and their administration.

pub mod schedule;
