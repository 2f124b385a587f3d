//! The errors of handlers that did not return an answer.

use std::time::Duration;

use super::{ApiError, codes};

/// The 500 for a handler that panicked. The program's panic hook has already logged the message and the place,
/// inside the request's span.
pub(crate) fn panicked() -> ApiError {
    codes::INTERNAL_ERROR.into()
}

/// The 503 for a request that exceeded the time-out.
pub(crate) fn timed_out() -> ApiError {
    ApiError::new(codes::UNAVAILABLE)
        .message("The request took too long; it is not known whether it took effect.")
        .retry_after(Duration::from_secs(1))
}
