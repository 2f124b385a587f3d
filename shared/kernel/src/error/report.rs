//! How a domain's error becomes an answer.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use switchyard_database::Error as DatabaseError;

use super::{ErrorCode, codes};
use crate::Faults;

/// An error of a domain that a client can be told about.
///
/// Implemented beside each domain's error enum, so that no central file lists the errors of all domains. In a handler, `?`
/// turns every implementor into an error answer.
///
/// ```
/// use switchyard_kernel::{CommonError, DomainError, ErrorCode, ErrorKind, ErrorReport};
///
/// pub const NOTE_LIMIT_REACHED: ErrorCode =
///     ErrorCode::new("NOTE_LIMIT_REACHED", ErrorKind::Conflict, "You have as many notes as you may have.");
///
/// #[derive(Debug)]
/// pub enum NoteError {
///     LimitReached,
///     Common(CommonError),
/// }
///
/// // Makes `?` accept every error that all domains share.
/// impl<E: Into<CommonError>> From<E> for NoteError {
///     fn from(error: E) -> Self {
///         Self::Common(error.into())
///     }
/// }
///
/// impl DomainError for NoteError {
///     fn into_report(self) -> ErrorReport {
///         match self {
///             Self::LimitReached => NOTE_LIMIT_REACHED.into(),
///             Self::Common(error) => error.into_report(),
///         }
///     }
/// }
/// ```
pub trait DomainError {
    /// Returns what the client gets, and what is logged.
    fn into_report(self) -> ErrorReport;
}

/// The cause of an error, for the log.
pub type ErrorCause = Arc<dyn std::error::Error + Send + Sync>;

/// What a client is told about an error, and its cause for the log.
#[derive(Clone)]
pub struct ErrorReport {
    /// The code.
    pub code: ErrorCode,
    /// The message, for people.
    pub message: Cow<'static, str>,
    /// What is wrong with which field, by the field's path as in `items[0].quantity`.
    pub details: BTreeMap<String, String>,
    /// How long to wait before trying again.
    pub retry_after: Option<Duration>,
    /// The cause. It is logged under the request's id and never shown.
    pub cause: Option<ErrorCause>,
    /// Whether a server error is certain to have changed nothing, so that the request may be repeated at once.
    pub is_unapplied: bool,
}

impl ErrorReport {
    /// A report of this code with its default message.
    pub fn new(code: ErrorCode) -> Self {
        let (details, message) = (BTreeMap::new(), Cow::Borrowed(code.message()));
        Self { code, message, details, retry_after: None, cause: None, is_unapplied: false }
    }

    /// An internal error. The cause is logged and never shown.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(codes::INTERNAL_ERROR).caused_by(cause)
    }

    /// Replaces the message. It is shown to the client: it must not contain a secret.
    #[must_use]
    pub fn message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Adds an entry to `details`: a field's path, and its fault as in `must be in the future`.
    #[must_use]
    pub fn detail(mut self, path: impl Into<String>, fault: impl Into<String>) -> Self {
        self.details.insert(path.into(), fault.into());
        self
    }

    /// Sets how long the client should wait before it tries again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Marks a server error as certain to have changed nothing.
    #[must_use]
    pub fn unapplied(mut self) -> Self {
        self.is_unapplied = true;
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into().into());
        self
    }
}

impl fmt::Debug for ErrorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorReport")
            .field("code", &self.code.name())
            .field("message", &self.message)
            .field("details", &self.details)
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

impl From<ErrorCode> for ErrorReport {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl DomainError for ErrorReport {
    fn into_report(self) -> ErrorReport {
        self
    }
}

/// A code alone, with its default message.
impl DomainError for ErrorCode {
    fn into_report(self) -> ErrorReport {
        self.into()
    }
}

/// All faults at once.
impl DomainError for Faults {
    fn into_report(self) -> ErrorReport {
        ErrorReport { details: self.into_details(), ..codes::VALIDATION_ERROR.into() }
    }
}

/// A database error that the domain did not handle. Nothing of the cause is shown: keys and messages of a backend stay in
/// the log.
impl DomainError for DatabaseError {
    fn into_report(self) -> ErrorReport {
        let report = match &self {
            Self::BadCursor => {
                return ErrorReport::new(codes::VALIDATION_ERROR)
                    .detail("cursor", "is not a cursor of this list; start again without one");
            }
            Self::Rejected(_) => ErrorReport::new(codes::CONFLICT),
            Self::Contended | Self::Unavailable(_) => {
                ErrorReport::new(codes::UNAVAILABLE).unapplied().retry_after(Duration::from_secs(1))
            }
            Self::Throttled { after } => ErrorReport::new(codes::UNAVAILABLE)
                .unapplied()
                .retry_after(after.unwrap_or(Duration::from_secs(1))),
            Self::OutcomeUnknown(_) => ErrorReport::new(codes::UNAVAILABLE)
                .message("It is not known whether the request took effect; check before you repeat it."),
            Self::Limit(_) => ErrorReport::new(codes::PAYLOAD_TOO_LARGE)
                .message("This is more than can be stored in one piece."),
            Self::Invalid(_) | Self::Corrupt(_) | Self::Internal(_) => {
                ErrorReport::new(codes::INTERNAL_ERROR)
            }
        };
        report.caused_by(self)
    }
}
