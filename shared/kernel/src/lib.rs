//! What every domain is made of, with no HTTP in it and no accounts.
//!
//! - [`Context`]: who asks for an operation, from where and when. Every service takes one.
//! - [`Kernel`]: the database, transactions that write the audit log ([`Kernel::transact`]), and permission checks that
//!   record refused attempts ([`Kernel::require`] and its siblings).
//! - [`Permission`], [`Action`], [`ErrorCode`]: constants that each domain declares for itself and lists in its
//!   [`Manifest`].
//! - [`DomainError`]: how a domain's error becomes an answer. [`CommonError`] holds the errors that all domains share.
//! - [`id_type!`], [`line_type!`], [`text_value!`]: types for ids and validated text.
//! - [`value::folded_key`]: what makes two spellings of a key one, for unique attributes.
//! - [`Faults`], [`MergePatch`], [`Precondition`], [`Versioned`], [`Page`]: edits and lists.
//!
//! What a domain needs to know about users goes through traits that the domain of users implements: [`Authenticator`] and
//! [`Authority`].

mod access;
mod audit;
mod change;
mod context;
mod error;
mod kernel;
mod key_ring;
mod manifest;
mod once;
mod page;
mod refusals;
mod secret_ring;
mod secrets;
pub mod value;

pub use access::{
    Attack, AuthenticationError, Authenticator, Authority, NoAuthenticator, Permission, Permissions,
    ServiceCode,
};
pub use audit::{
    AUDIT_READ, Action, AnchorError, AuditAnchor, AuditBreak, AuditEntry, AuditEvent, AuditFilter, AuditLog,
    AuditVerification, BreakReason, CHAINS, Outcome, actions,
};
pub use change::{EntityTag, Fault, FaultKind, Faults, FieldPath, MergePatch, Precondition, Step, Versioned};
pub use context::{Actor, Cause, Context, Principal, STEP_UP_WINDOW};
pub use error::{CommonError, DomainError, ErrorCause, ErrorCode, ErrorKind, ErrorReport, Refused, codes};
pub use kernel::{AuditedTransaction, Kernel, KernelSettings};
pub use key_ring::{KeyRing, hex};
pub use manifest::{AddressLimit, BuiltInRole, Manifest, Manifests};
pub use once::{Effect, EffectRecord, RequestKey};
pub use page::{Page, PageRequest, Pagination};
pub use refusals::{WINDOW as REFUSAL_WINDOW, network_of};
pub use secret_ring::{KeyRingError, SecretRing};
pub use secrets::{
    HeldSecret, Keys, NewSecret, OtherSecret, ReplaceableSecret, Rotating, SECRET_CHECKS, forget_secret,
    other_secret, record_secrets, replace_secrets,
};
pub use value::{
    CountryCode, InvalidLine, InvalidRoleName, ParseIdError, RoleName, SessionId, UserId, rfc3339,
};

#[doc(hidden)]
pub use {deserr, serde, utoipa};

/// What the kernel itself declares. `audit:read` is listed by the domain that lists permissions first.
pub const MANIFEST: Manifest =
    Manifest::new("kernel").collections(COLLECTIONS).codes(codes::ALL).actions(actions::ALL);

const COLLECTIONS: &[&switchyard_database::Collection] = &[
    audit::ENTRIES,
    audit::CHAIN_ENDS,
    <refusals::RefusalWindow as switchyard_database::Entity>::COLLECTION,
    SECRET_CHECKS,
];
