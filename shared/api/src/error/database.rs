use std::time::Duration;

use switchyard_database::Error;

use super::{ApiError, ErrorCode};

/// What a failure of the database means to a client that the handler had nothing better to say to.
///
/// Nothing of the cause is shown: keys and messages of a backend stay in the log.
impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let answer = match &error {
            Error::BadCursor => return Self::bad_cursor(),
            Error::Rejected(_) => Self::new(ErrorCode::Conflict),
            Error::Contended | Error::Unavailable(_) => {
                Self::new(ErrorCode::Unavailable).retry_after(Duration::from_secs(1))
            }
            Error::Throttled { after } => {
                Self::new(ErrorCode::Unavailable).retry_after(after.unwrap_or(Duration::from_secs(1)))
            }
            Error::OutcomeUnknown(_) => Self::new(ErrorCode::Unavailable)
                .message("It is not known whether the request took effect; look before you repeat it."),
            Error::Limit(_) => {
                Self::new(ErrorCode::PayloadTooLarge).message("This is more than can be stored in one piece.")
            }
            Error::Invalid(_) | Error::Corrupt(_) | Error::Internal(_) => Self::new(ErrorCode::InternalError),
        };
        answer.caused_by(error)
    }
}
