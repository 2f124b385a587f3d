use std::time::Duration;

use switchyard_database::Error as DatabaseError;

use super::{DomainError, ErrorReport, codes};
use crate::Faults;

/// Why the caller may not do what they asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The operation needs a signed-in user.
    #[error("sign in to do this")]
    Unauthenticated,
    /// The user lacks the permission.
    #[error("you are not allowed to do this")]
    Forbidden,
    /// The user must authenticate again first.
    #[error("authenticate again, then repeat the request")]
    StepUpRequired,
    /// The resource does not exist, or the caller may not learn that it exists.
    #[error("there is no such resource")]
    NotFound,
    /// The resource is not in the state that the caller read.
    #[error("the resource was changed since it was read")]
    PreconditionFailed,
}

impl Refused {
    /// Whether the refusal is recorded in the audit log as a denied access. An anonymous request is not an attempt worth an
    /// entry, and a missing step-up is a question, not a denial.
    pub(crate) fn is_denial(self) -> bool {
        matches!(self, Self::Forbidden | Self::NotFound)
    }
}

impl DomainError for Refused {
    fn into_report(self) -> ErrorReport {
        let code = match self {
            Self::Unauthenticated => codes::UNAUTHENTICATED,
            Self::Forbidden => codes::FORBIDDEN,
            Self::StepUpRequired => codes::STEP_UP_REQUIRED,
            Self::NotFound => codes::NOT_FOUND,
            Self::PreconditionFailed => codes::PRECONDITION_FAILED,
        };
        code.into()
    }
}

/// The errors that the operations of every domain can fail with. A domain's own error enum has one variant for it, and
/// implements [`DomainError`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CommonError {
    /// The caller may not do this.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Fields of the request are invalid.
    #[error("the request has invalid fields")]
    Invalid(Faults),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// More work waits than can be done in time, and the operation was not begun.
    #[error("more work waits than can be done in time")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// A fault of the program or its configuration.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<Faults> for CommonError {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl DomainError for CommonError {
    fn into_report(self) -> ErrorReport {
        match self {
            Self::Refused(refused) => refused.into_report(),
            Self::Invalid(faults) => faults.into_report(),
            Self::Database(error) => error.into_report(),
            Self::Busy { retry_after } => ErrorReport::new(codes::UNAVAILABLE)
                .message("The service is busy, and the request took no effect; try again a little later.")
                .unapplied()
                .retry_after(retry_after)
                .caused_by(self),
            Self::Internal(cause) => ErrorReport::internal(cause),
        }
    }
}
