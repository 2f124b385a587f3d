use std::fmt;
use std::time::Duration;

use crate::{Collection, Key};

/// What a call on a [`Database`](crate::Database) returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed, which decides whether it may be retried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The batch conflicts with the stored state. Nothing was applied. The rejection of the lowest operation that
    /// failed always comes first; others may follow.
    #[error("rejected: {}", Rejections(.0))]
    Rejected(Vec<Rejection>),
    /// Others were writing the same documents. Nothing was applied; safe to retry.
    #[error("too many concurrent writers to the same documents; try again")]
    Contended,
    /// The database limits the rate of calls. Nothing was applied; safe to retry.
    #[error("the database is throttling its callers; try again later")]
    Throttled {
        /// How long to wait, if the database says so.
        after: Option<Duration>,
    },
    /// The database did not respond, and nothing was applied; safe to retry.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The response was lost and the outcome could not be determined: the batch was applied completely or not at
    /// all.
    #[error("the outcome of the write is not known: {0}")]
    OutcomeUnknown(String),
    /// A limit of the contract ([`limits`](crate::limits)) is exceeded; the text says which one.
    #[error("over a limit: {0}")]
    Limit(String),
    /// The call does not match the declared collections; the text says why.
    #[error("invalid: {0}")]
    Invalid(String),
    /// The cursor was altered, or belongs to another query.
    #[error("the cursor does not belong to this query")]
    BadCursor,
    /// The stored data is not in the form in which this crate or the backend writes it.
    #[error("the stored data is damaged: {0}")]
    Corrupt(String),
    /// A bug in this crate or in the backend, or a wrong configuration.
    #[error("internal database error: {0}")]
    Internal(String),
}

impl Error {
    /// The error of a migration that makes an attribute unique although the documents `one` and `other` hold the
    /// same value of it.
    pub fn not_unique(collection: &Collection, attribute: &str, one: &str, other: &str) -> Self {
        Self::Invalid(format!(
            "`{attribute}` of `{}` cannot become unique: the documents `{one}` and `{other}` hold the same value; change \
             one of them and migrate again",
            collection.name
        ))
    }

    /// Whether nothing was applied and the same call may succeed if it is repeated.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Contended | Self::Throttled { .. } | Self::Unavailable(_))
    }

    /// The rejection of the lowest operation that failed, if this is [`Rejected`](Self::Rejected).
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejections) => rejections.first(),
            _ => None,
        }
    }

    /// Whether the lowest operation that failed was rejected for this cause.
    pub fn is_rejection_for(&self, cause: Cause) -> bool {
        self.rejection().is_some_and(|rejection| rejection.cause == cause)
    }

    /// The attribute whose value another document holds, if that is the first rejection.
    pub fn taken_attribute(&self) -> Option<&str> {
        match self.rejection()?.cause {
            Cause::UniqueTaken { attribute } => Some(attribute),
            _ => None,
        }
    }
}

/// One operation of a batch that conflicts with the stored state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The operation's index in the batch, from 0.
    pub operation: usize,
    /// The document it names.
    pub key: Key,
    /// Why it was rejected: the first cause in the order of [`Cause`] if there are several.
    pub cause: Cause,
}

/// Why an operation was rejected, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A document with this id exists.
    AlreadyExists,
    /// No document with this id exists.
    NotFound,
    /// The document has been written since the version that the operation names.
    VersionMismatch,
    /// A `Check` found the opposite of what it expects.
    CheckFailed,
    /// Another document holds this value of a unique attribute.
    UniqueTaken {
        /// The attribute's declared name.
        attribute: &'static str,
    },
    /// The number would fall below `at_least`.
    BelowMinimum,
    /// The number would leave the range of i64.
    Overflow,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyExists => f.write_str("already exists"),
            Self::NotFound => f.write_str("does not exist"),
            Self::VersionMismatch => f.write_str("was changed in the meantime"),
            Self::CheckFailed => f.write_str("is not as expected"),
            Self::UniqueTaken { attribute } => {
                write!(f, "has a value of `{attribute}` that is already taken")
            }
            Self::BelowMinimum => f.write_str("would fall below its minimum"),
            Self::Overflow => f.write_str("would overflow"),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {}: {} {}", self.operation, self.key, self.cause)
    }
}

/// Displays rejections separated by semicolons.
struct Rejections<'a>(&'a [Rejection]);

impl fmt::Display for Rejections<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rejection) in self.0.iter().enumerate() {
            write!(f, "{}{rejection}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
