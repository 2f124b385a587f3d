//! The audit log: append-only, written in the same transaction as what it records, and chained so that a change in the
//! database does not go unnoticed.
//!
//! **Chains.** Every entry carries an HMAC over its content and over the HMAC of the previous entry. With a single chain,
//! every writer would wait for every other. With a chain for each subject, all entries about a subject could be removed
//! together with their chain, unnoticed. So there are [`CHAINS`] chains, and each transaction picks one at random: two
//! concurrent writers use the same chain with a probability of one in [`CHAINS`], and each chain holds entries about all
//! subjects.
//!
//! **Cross-links.** Each entry also carries the end of another chain, which its process has written or read last. Without that,
//! an old end of a chain could be put back together with the entries that it had then: it was signed once, so it is authentic.
//! A chain that ends before what an entry of another chain names was set back.
//!
//! **Anchors.** An [`AuditAnchor`] has the ends of all chains, and is kept outside of the database.
//!
//! **What verification shows.** An entry that was changed, removed, added or moved. A chain that was set back behind an end that
//! an entry of another chain names, and with an anchor: behind the end that the anchor names. So without an anchor it does not
//! show
//!
//! - that all chains were set back to one earlier moment, as when an old backup takes the place of the database;
//! - that the latest entries of chains were removed that no other entry has named yet: those that each process wrote last;
//! - that whole chains were removed together with all entries that name them.
//!
//! With an anchor these three show too, for what was written before the anchor. What was written since then is protected by
//! cross-links alone. Nothing shows what somebody writes who has the key, or who can make the program write.

pub mod actions;
mod anchor;
mod chain;
mod entry;
mod event;
mod log;
mod record;
mod seen;
mod verify;

use switchyard_database::{Collection, Entity as _};

use crate::Permission;

pub use anchor::{AnchorError, AuditAnchor};
use chain::Chain;
pub(crate) use chain::{Appender, unknown_key};
pub use entry::AuditEntry;
pub use event::{Action, AuditEvent, Outcome};
pub use log::{AuditFilter, AuditLog};
use record::AuditRecord;
pub(crate) use seen::SeenEnds;
pub use verify::{AuditBreak, AuditVerification, BreakReason};

/// The number of chains.
pub const CHAINS: u16 = 256;

/// Required to read and verify the audit log.
pub const AUDIT_READ: Permission = Permission::new("audit:read", "Read the audit log and verify it.");

/// The entries of the audit log.
pub(crate) const ENTRIES: &Collection = AuditRecord::COLLECTION;
/// The ends of its chains.
pub(crate) const CHAIN_ENDS: &Collection = Chain::COLLECTION;
