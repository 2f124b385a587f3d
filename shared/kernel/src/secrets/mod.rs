//! The secrets of a program: how they are read and replaced, and what the database knows about them.

mod checks;
mod rotating;

pub use checks::{HeldSecret, OtherSecret, SECRET_CHECKS, forget_secret, other_secret, record_secrets};
pub use rotating::{Keys, NewSecret, ReplaceableSecret, Rotating, replace_secrets};
