use switchyard_kernel::{CommonError, DomainError, ErrorReport};

use super::codes;

/// Why a call on [`Jobs`](crate::Jobs) failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum JobsError {
    /// `JOB_NOT_RETRYABLE`.
    #[error("the job is neither dead, nor cancelled, nor retrying")]
    NotRetryable,
    /// `JOB_NOT_DISCARDABLE`.
    #[error("the job is not dead")]
    NotDiscardable,
    /// `JOB_FINISHED`.
    #[error("the job has ended")]
    Finished,
    /// An error that all domains share.
    #[error(transparent)]
    Common(CommonError),
}

impl<E: Into<CommonError>> From<E> for JobsError {
    fn from(error: E) -> Self {
        Self::Common(error.into())
    }
}

impl DomainError for JobsError {
    fn into_report(self) -> ErrorReport {
        match self {
            Self::NotRetryable => codes::JOB_NOT_RETRYABLE.into(),
            Self::NotDiscardable => codes::JOB_NOT_DISCARDABLE.into(),
            Self::Finished => codes::JOB_FINISHED.into(),
            Self::Common(error) => error.into_report(),
        }
    }
}
