//! Estimates the strength of passwords, hashes them, and limits guessing.

mod attempts;
mod hash;
mod hasher;
mod strength;

pub(crate) use attempts::{Attempts, Guessed, Reservation};
pub use hash::{InvalidPasswordHash, PasswordHash};
pub(crate) use hasher::{HasherStopped, PasswordHasher, Turn};
pub(crate) use strength::weakness;
