use switchyard_kernel::{CommonError, DomainError, ErrorReport};

use crate::codes;

/// Why a call on [`Books`](crate::Books) failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BookError {
    /// `BOOK_LIMIT_REACHED`: the user has as many books as a user may have.
    #[error("the user has as many books as a user may have")]
    LimitReached,
    /// An error that all domains share.
    #[error(transparent)]
    Common(CommonError),
}

impl<E: Into<CommonError>> From<E> for BookError {
    fn from(error: E) -> Self {
        Self::Common(error.into())
    }
}

impl DomainError for BookError {
    fn into_report(self) -> ErrorReport {
        match self {
            Self::LimitReached => codes::BOOK_LIMIT_REACHED.into(),
            Self::Common(error) => error.into_report(),
        }
    }
}
