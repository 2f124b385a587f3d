//! Requests that take effect at most once.
//!
//! A client that gets no answer repeats its request. With an `Idempotency-Key`, the repetition must not take effect a second
//! time, whatever went wrong the first time: a lost reply of the database, or a crash after the commit and before the answer
//! was stored. So the effect is recorded in the transaction that has it: [`Kernel::transact`](crate::Kernel::transact) inserts
//! an [`EffectRecord`] under the request's [`RequestKey`]. A second transaction with the same key cannot commit, and a
//! repetition learns from [`Context::earlier_effect`](crate::Context::earlier_effect) what the first run did, and answers from
//! that.

mod effect;
mod key;

pub use effect::{Effect, EffectRecord};
pub use key::RequestKey;
