//! The audit log: append-only, written in the same transaction as what it records, and chained so that a change in the
//! database does not go unnoticed.
//!
//! **Chains.** Every entry carries an HMAC over its content and over the HMAC of the previous entry. With a single chain,
//! every writer would wait for every other. With a chain for each subject, all entries about a subject could be removed
//! together with their chain, unnoticed. So there are [`CHAINS`] chains, and each transaction picks one at random: two
//! concurrent writers use the same chain with a probability of one in [`CHAINS`], and each chain holds entries about all
//! subjects.
//!
//! **What verification shows.** An entry that was changed, removed, added or moved within one chain, and the end of a chain
//! that was set back. It does not show that the whole database was set back to an earlier state. To detect that, keep the
//! number of entries elsewhere.

pub mod actions;
mod chain;
mod event;
mod log;
mod record;
mod verify;

use switchyard_database::{Collection, Entity as _};

use crate::Permission;

use chain::Chain;
pub(crate) use chain::{append, unknown_key};
pub use event::{Action, AuditEvent, Outcome};
pub use log::{AuditFilter, AuditLog};
pub use record::AuditEntry;
use record::AuditRecord;
pub use verify::{AuditBreak, AuditVerification, BreakReason};

/// The number of chains.
pub const CHAINS: u8 = 64;

/// Required to read and verify the audit log.
pub const AUDIT_READ: Permission = Permission::new("audit:read", "Read the audit log and verify it.");

/// The entries of the audit log.
pub(crate) const ENTRIES: &Collection = AuditRecord::COLLECTION;
/// The ends of its chains.
pub(crate) const CHAIN_ENDS: &Collection = Chain::COLLECTION;
