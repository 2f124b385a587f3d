//! The error codes of the HTTP conventions, in addition to those that all domains share.

use switchyard_kernel::{ErrorCode, ErrorKind};

pub use switchyard_kernel::codes::{
    ACCESS_TOKEN_EXPIRED, ACCESS_TOKEN_INVALID, CONFLICT, FORBIDDEN, INTERNAL_ERROR, NOT_FOUND,
    PASSWORD_CHANGE_REQUIRED, PAYLOAD_TOO_LARGE, PRECONDITION_FAILED, STEP_UP_REQUIRED, UNAUTHENTICATED,
    UNAVAILABLE, VALIDATION_ERROR,
};

/// `IDEMPOTENCY_KEY_REQUIRED`: the operation must be sent with an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_REQUIRED: ErrorCode = ErrorCode::new(
    "IDEMPOTENCY_KEY_REQUIRED",
    ErrorKind::Invalid,
    "Send an `Idempotency-Key` header with a value of your own, such as a UUID, to make this request.",
);

/// `METHOD_NOT_ALLOWED`: the path exists, but not with this method.
pub const METHOD_NOT_ALLOWED: ErrorCode = ErrorCode::new(
    "METHOD_NOT_ALLOWED",
    ErrorKind::MethodNotAllowed,
    "This address does not support the method; `Allow` lists those it does.",
);

/// `IDEMPOTENCY_IN_PROGRESS`: the first request with the key has not finished.
pub const IDEMPOTENCY_IN_PROGRESS: ErrorCode = ErrorCode::new(
    "IDEMPOTENCY_IN_PROGRESS",
    ErrorKind::Conflict,
    "The first request with this `Idempotency-Key` is still running; repeat the request a little later.",
);

/// `IDEMPOTENCY_ANSWER_LOST`: the request took effect earlier, and its answer cannot be given again.
pub const IDEMPOTENCY_ANSWER_LOST: ErrorCode = ErrorCode::new(
    "IDEMPOTENCY_ANSWER_LOST",
    ErrorKind::Conflict,
    "The request took effect when it was first sent, but its answer cannot be given again; read what it changed, and do not \
     repeat it.",
);

/// `UNSUPPORTED_MEDIA_TYPE`: the body is not JSON.
pub const UNSUPPORTED_MEDIA_TYPE: ErrorCode = ErrorCode::new(
    "UNSUPPORTED_MEDIA_TYPE",
    ErrorKind::UnsupportedMediaType,
    "Send the body as `Content-Type: application/json`.",
);

/// `IDEMPOTENCY_KEY_REUSED`: the key was used for a different request.
pub const IDEMPOTENCY_KEY_REUSED: ErrorCode = ErrorCode::new(
    "IDEMPOTENCY_KEY_REUSED",
    ErrorKind::Unprocessable,
    "This `Idempotency-Key` was used for another request; use a new one.",
);

/// `PRECONDITION_REQUIRED`: the operation must be sent with an `If-Match`.
pub const PRECONDITION_REQUIRED: ErrorCode = ErrorCode::new(
    "PRECONDITION_REQUIRED",
    ErrorKind::PreconditionRequired,
    "Send the resource's `ETag` as `If-Match`, so that no other change is overwritten.",
);

/// `RATE_LIMITED`: the caller sent too many requests.
pub const RATE_LIMITED: ErrorCode = ErrorCode::new(
    "RATE_LIMITED",
    ErrorKind::TooManyRequests,
    "Too many requests; `Retry-After` says when to continue.",
);

/// The codes of the conventions that this crate adds to those of the kernel.
pub const OWN: &[ErrorCode] = &[
    IDEMPOTENCY_KEY_REQUIRED,
    METHOD_NOT_ALLOWED,
    IDEMPOTENCY_IN_PROGRESS,
    IDEMPOTENCY_ANSWER_LOST,
    UNSUPPORTED_MEDIA_TYPE,
    IDEMPOTENCY_KEY_REUSED,
    PRECONDITION_REQUIRED,
    RATE_LIMITED,
];
