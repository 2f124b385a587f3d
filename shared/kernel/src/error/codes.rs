//! The error codes that every domain shares.

use super::{ErrorCode, ErrorKind};

/// `VALIDATION_ERROR`: fields of the request are invalid; `details` lists each of them.
pub const VALIDATION_ERROR: ErrorCode = ErrorCode::new(
    "VALIDATION_ERROR",
    ErrorKind::Invalid,
    "The request has invalid fields; `details` describes each of them.",
)
.with_example("email", "must be an e-mail address");

/// `UNAUTHENTICATED`: the request has no access token and needs one.
pub const UNAUTHENTICATED: ErrorCode = ErrorCode::new(
    "UNAUTHENTICATED",
    ErrorKind::Unauthenticated,
    "Sign in, and send the access token as `Authorization: Bearer …`.",
);

/// `TOKEN_EXPIRED` (401): the access token has expired.
pub const ACCESS_TOKEN_EXPIRED: ErrorCode = ErrorCode::new(
    "TOKEN_EXPIRED",
    ErrorKind::Unauthenticated,
    "The access token has expired; use the refresh token to get a new one.",
);

/// `TOKEN_INVALID` (401): the service did not issue the access token, or it was altered.
pub const ACCESS_TOKEN_INVALID: ErrorCode = ErrorCode::new(
    "TOKEN_INVALID",
    ErrorKind::Unauthenticated,
    "The access token is not valid; sign in again to get a new one.",
);

/// `FORBIDDEN`: the caller lacks a permission.
pub const FORBIDDEN: ErrorCode =
    ErrorCode::new("FORBIDDEN", ErrorKind::Forbidden, "You are not allowed to do this.");

/// `PASSWORD_CHANGE_REQUIRED`: somebody else has seen the caller's password, and until it is changed it is good for nothing
/// else.
pub const PASSWORD_CHANGE_REQUIRED: ErrorCode = ErrorCode::new(
    "PASSWORD_CHANGE_REQUIRED",
    ErrorKind::Forbidden,
    "Change your password first, then refresh the session or sign in again.",
);

/// `STEP_UP_REQUIRED`: the caller must have authenticated within [`STEP_UP_WINDOW`](crate::STEP_UP_WINDOW).
pub const STEP_UP_REQUIRED: ErrorCode = ErrorCode::new(
    "STEP_UP_REQUIRED",
    ErrorKind::Forbidden,
    "Confirm that it is you: authenticate again, then repeat the request.",
);

/// `NOT_FOUND`: the resource does not exist, or the caller may not learn that it exists.
pub const NOT_FOUND: ErrorCode =
    ErrorCode::new("NOT_FOUND", ErrorKind::NotFound, "There is nothing at this address.");

/// `CONFLICT`: the stored state changed, or does not allow the request.
pub const CONFLICT: ErrorCode = ErrorCode::new(
    "CONFLICT",
    ErrorKind::Conflict,
    "The request conflicts with what is stored; read it again, then repeat the request.",
);

/// `PRECONDITION_FAILED`: the resource is not in the state that the request names.
pub const PRECONDITION_FAILED: ErrorCode = ErrorCode::new(
    "PRECONDITION_FAILED",
    ErrorKind::PreconditionFailed,
    "The resource is not in the state that `If-Match` or `If-None-Match` names; read it again, then decide.",
);

/// `PAYLOAD_TOO_LARGE`: the body, or what it would store, is too large.
pub const PAYLOAD_TOO_LARGE: ErrorCode = ErrorCode::new(
    "PAYLOAD_TOO_LARGE",
    ErrorKind::TooLarge,
    "The body, or what it would store, is too large.",
);

/// `INTERNAL_ERROR`: a fault of the service. The log has its cause under the request's id.
pub const INTERNAL_ERROR: ErrorCode = ErrorCode::new(
    "INTERNAL_ERROR",
    ErrorKind::Internal,
    "Something went wrong on our side; report the request id if it happens again.",
);

/// `UNAVAILABLE`: a dependency does not answer.
pub const UNAVAILABLE: ErrorCode = ErrorCode::new(
    "UNAVAILABLE",
    ErrorKind::Unavailable,
    "The service cannot answer right now; try again a little later.",
);

/// All of them.
pub const ALL: &[ErrorCode] = &[
    VALIDATION_ERROR,
    UNAUTHENTICATED,
    ACCESS_TOKEN_EXPIRED,
    ACCESS_TOKEN_INVALID,
    FORBIDDEN,
    PASSWORD_CHANGE_REQUIRED,
    STEP_UP_REQUIRED,
    NOT_FOUND,
    CONFLICT,
    PRECONDITION_FAILED,
    PAYLOAD_TOO_LARGE,
    INTERNAL_ERROR,
    UNAVAILABLE,
];
