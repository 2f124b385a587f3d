//! The one error that handlers return, and the answer it becomes.

pub mod codes;
mod not_found;
mod render;
mod status;
mod unfinished;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use switchyard_kernel::{DomainError, ErrorCode, ErrorReport};

pub use not_found::OrNotFound;
pub(crate) use render::{envelope, render};
pub(crate) use status::status_of;
pub(crate) use unfinished::{panicked, timed_out};

/// What a handler returns.
pub type ApiResult<T> = Result<T, ApiError>;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error answer.
///
/// Every error that implements [`DomainError`] becomes one through `?`: the errors of all domains,
/// [`ErrorCode`], and [`Faults`](switchyard_kernel::Faults).
///
/// ```
/// use std::time::Duration;
/// use switchyard_api::{ApiError, codes};
///
/// let plain: ApiError = codes::CONFLICT.into();
/// let limited = ApiError::new(codes::RATE_LIMITED).retry_after(Duration::from_secs(900));
/// let invalid = ApiError::invalid("starts_at", "must be in the future");
/// # let _ = (plain, limited, invalid);
/// ```
#[derive(Clone)]
pub struct ApiError(Box<Parts>);

// Boxed, so that a `Result` of it stays small.
#[derive(Clone)]
struct Parts {
    report: ErrorReport,
    headers: HeaderMap,
}

impl ApiError {
    /// The error of this code, with its default message.
    pub fn new(code: ErrorCode) -> Self {
        ErrorReport::new(code).into()
    }

    /// A 500 whose cause is logged under the request's id and never shown.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        ErrorReport::internal(cause).into()
    }

    /// A 400 with one fault: the field's path and what is wrong with it, as in `must be in the future`.
    pub fn invalid(path: impl Into<String>, fault: impl Into<String>) -> Self {
        Self::new(codes::VALIDATION_ERROR).detail(path, fault)
    }

    /// Replaces the code's default message. It is shown to the client: it must not contain a secret.
    #[must_use]
    pub fn message(self, message: impl Into<Cow<'static, str>>) -> Self {
        self.map(|report| report.message(message))
    }

    /// Adds an entry to `details`: a field's path and what is wrong with it.
    #[must_use]
    pub fn detail(self, path: impl Into<String>, fault: impl Into<String>) -> Self {
        self.map(|report| report.detail(path, fault))
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Sets `Retry-After`, in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        self.map(|report| report.retry_after(wait))
    }

    /// Keeps the cause of the error for the log.
    #[must_use]
    pub fn caused_by(self, cause: impl Into<Cause>) -> Self {
        self.map(|report| report.caused_by(cause))
    }

    /// The error's code.
    pub fn code(&self) -> ErrorCode {
        self.0.report.code
    }

    /// Whether a server error is certain to have changed nothing.
    pub(crate) fn is_unapplied(&self) -> bool {
        self.0.report.is_unapplied
    }

    /// The cause of the error, if it is kept.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync)> {
        self.0.report.cause.as_deref()
    }

    fn map(mut self, change: impl FnOnce(ErrorReport) -> ErrorReport) -> Self {
        self.0.report = change(self.0.report);
        self
    }
}

impl<E: DomainError> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(Box::new(Parts { report: error.into_report(), headers: HeaderMap::new() }))
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ApiError").field(&self.0.report).finish()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.0.report.message)
    }
}

/// The layers of [`serve_api`](crate::serve_api) write the body, since they know the request's id.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = status_of(self.code()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
