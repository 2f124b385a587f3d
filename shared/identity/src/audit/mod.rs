//! The audit log: append-only, written in the same transaction as what it records, and chained so that nobody can change
//! it in the database without being noticed.
//!
//! **Chains.** Every entry carries an HMAC over its content and over the HMAC of the entry before it. One chain for all
//! would make every writer wait for every other; one for each subject would let somebody remove all that was ever said of
//! a subject together with its chain, unnoticed. So there are [`CHAINS`] chains, and each transaction draws one of them
//! at random: two writers meet in one with a probability of one in [`CHAINS`], however much they have to say about the
//! same subject, and each chain holds entries about everybody.
//!
//! **What this shows.** An entry that was changed, removed, added or moved, and a head that was set back, wherever it
//! happens to one chain alone. A whole database that is set back to an earlier state looks like that earlier state; who
//! fears that keeps the count of entries elsewhere.

mod chain;
mod event;
mod log;
mod record;
mod verify;

pub(crate) use chain::{Chain, append, foreign_key};
pub use event::{Action, AuditEvent, Outcome};
pub use log::{AuditFilter, AuditLog};
pub use record::AuditEntry;
pub(crate) use record::AuditRecord;
pub use verify::{AuditBreak, AuditVerification, BreakReason};

/// How many chains there are.
pub const CHAINS: u8 = 64;
