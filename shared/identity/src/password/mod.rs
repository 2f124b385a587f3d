//! Estimates the strength of passwords, hashes them in turn, and limits guessing.

mod attempts;
mod hash;
mod hasher;
mod queue;
mod strength;

pub(crate) use attempts::{Attempts, Guessed, Reservation, SESSIONS_COUNTED_EVERY};
pub use hash::{InvalidPasswordHash, PasswordHash};
pub(crate) use hasher::PasswordHasher;
pub(crate) use queue::{Busy, HasherStopped, Share, Turn};
pub(crate) use strength::weakness;
