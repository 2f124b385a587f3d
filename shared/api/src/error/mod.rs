//! The one error that handlers return, and the answer it becomes.

mod code;
mod database;
mod not_found;
mod render;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::Faults;

pub use code::ErrorCode;
pub use not_found::OrNotFound;
pub(crate) use render::{envelope, render};

/// What a handler returns.
pub type ApiResult<T> = Result<T, ApiError>;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error answer: a code, and what this case adds to it.
///
/// ```
/// use std::time::Duration;
/// use switchyard_api::{ApiError, ErrorCode};
///
/// let plain: ApiError = ErrorCode::EmailTaken.into();
/// let locked = ApiError::new(ErrorCode::AccountLocked).retry_after(Duration::from_secs(900));
/// let weak = ApiError::new(ErrorCode::WeakPassword).detail("password", "is among the most common passwords");
/// # let _ = (plain, locked, weak);
/// ```
///
/// A crate with errors of its own maps them in one place, `impl From<RegisterError> for ApiError`, so that handlers
/// say `?`.
#[derive(Clone)]
pub struct ApiError(Box<Parts>);

// Boxed, so that a `Result` of it stays small on the way up.
#[derive(Clone)]
struct Parts {
    code: ErrorCode,
    message: Cow<'static, str>,
    details: BTreeMap<String, String>,
    headers: HeaderMap,
    cause: Option<Arc<Cause>>,
}

impl ApiError {
    /// The error of this code, with its message.
    pub fn new(code: ErrorCode) -> Self {
        Self(Box::new(Parts {
            code,
            message: Cow::Borrowed(code.message()),
            details: BTreeMap::new(),
            headers: HeaderMap::new(),
            cause: None,
        }))
    }

    /// A 500 whose cause is logged under the request's id and never shown.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::new(ErrorCode::InternalError).caused_by(cause)
    }

    /// A 400 with one fault: the field's path and what is wrong with it, as in `must be in the future`.
    pub fn invalid(path: impl Into<String>, fault: impl Into<String>) -> Self {
        Self::new(ErrorCode::ValidationError).detail(path, fault)
    }

    /// The 400 of a list that is given a cursor which it did not give out.
    pub fn bad_cursor() -> Self {
        Self::invalid("cursor", "is not a cursor of this list; start again without one")
    }

    /// Says something better than the code's own sentence. It is shown: put no secret into it.
    #[must_use]
    pub fn message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = message.into();
        self
    }

    /// Adds an entry to `details`: a field's path and what is wrong with it.
    #[must_use]
    pub fn detail(mut self, path: impl Into<String>, fault: impl Into<String>) -> Self {
        self.0.details.insert(path.into(), fault.into());
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Says when to try again, in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Keeps what caused the error, for the log only.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(Arc::new(cause.into()));
        self
    }

    /// The error's code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// What caused the error, if that is kept.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync)> {
        self.0.cause.as_deref().map(|cause| &**cause)
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

/// All faults at once, in a 400.
impl From<Faults> for ApiError {
    fn from(faults: Faults) -> Self {
        let mut error = Self::new(ErrorCode::ValidationError);
        error.0.details = faults.into_details();
        error
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("details", &self.0.details)
            .field("cause", &self.0.cause)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.message)
    }
}

/// The body is written by the layers of [`serve_api`](crate::serve_api), which know the request's id.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.0.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
