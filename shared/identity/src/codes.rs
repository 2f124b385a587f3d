//! The error codes of identity.

use switchyard_kernel::{ErrorCode, ErrorKind};

/// `WEAK_PASSWORD`: the new password is easy to guess.
pub const WEAK_PASSWORD: ErrorCode =
    ErrorCode::new("WEAK_PASSWORD", ErrorKind::Invalid, "The password is too easy to guess.")
        .with_example("password", "is among the most common passwords");

/// `TOKEN_INVALID`: a token that was sent by mail is not valid.
pub const TOKEN_INVALID: ErrorCode = ErrorCode::new(
    "TOKEN_INVALID",
    ErrorKind::Invalid,
    "The token is not valid, was used before, or was replaced by a newer one.",
);

/// `INVALID_CREDENTIALS`: the address is unknown or the password wrong.
pub const INVALID_CREDENTIALS: ErrorCode = ErrorCode::new(
    "INVALID_CREDENTIALS",
    ErrorKind::Unauthenticated,
    "The e-mail address or the password is wrong.",
);

/// `INVALID_CODE`: the code of a second factor is wrong.
pub const INVALID_CODE: ErrorCode =
    ErrorCode::new("INVALID_CODE", ErrorKind::Unauthenticated, "The code is wrong, or was used before.");

/// `REFRESH_TOKEN_INVALID`: the refresh token is not the latest one of a session.
pub const REFRESH_TOKEN_INVALID: ErrorCode = ErrorCode::new(
    "REFRESH_TOKEN_INVALID",
    ErrorKind::Unauthenticated,
    "The refresh token is not valid; sign in again.",
);

/// `REFRESH_TOKEN_REUSED`: the refresh token was used twice.
pub const REFRESH_TOKEN_REUSED: ErrorCode = ErrorCode::new(
    "REFRESH_TOKEN_REUSED",
    ErrorKind::Unauthenticated,
    "The refresh token was used before, so its session was ended; sign in again.",
);

/// `ACCOUNT_DISABLED`: an admin disabled the account.
pub const ACCOUNT_DISABLED: ErrorCode =
    ErrorCode::new("ACCOUNT_DISABLED", ErrorKind::Forbidden, "The account is disabled.");

/// `EMAIL_TAKEN`: another account has the address.
pub const EMAIL_TAKEN: ErrorCode =
    ErrorCode::new("EMAIL_TAKEN", ErrorKind::Conflict, "Another account has this e-mail address.");

/// `ROLE_TAKEN`: another role has the name.
pub const ROLE_TAKEN: ErrorCode =
    ErrorCode::new("ROLE_TAKEN", ErrorKind::Conflict, "Another role has this name.");

/// `ROLE_IN_USE`: users have the role.
pub const ROLE_IN_USE: ErrorCode =
    ErrorCode::new("ROLE_IN_USE", ErrorKind::Conflict, "Users have this role; remove it from them first.");

/// `ROLE_PROTECTED`: the role is built in.
pub const ROLE_PROTECTED: ErrorCode =
    ErrorCode::new("ROLE_PROTECTED", ErrorKind::Conflict, "This role cannot be changed or deleted.");

/// `LAST_ADMIN`: no admin who can sign in would be left.
pub const LAST_ADMIN: ErrorCode =
    ErrorCode::new("LAST_ADMIN", ErrorKind::Conflict, "This would leave nobody with the admin role.");

/// `TOKEN_EXPIRED` (410): a token that was sent by mail has expired.
pub const TOKEN_EXPIRED: ErrorCode =
    ErrorCode::new("TOKEN_EXPIRED", ErrorKind::Gone, "The token has expired; request a new one.");

/// `ACCOUNT_LOCKED`: too many failed sign-ins in a row.
pub const ACCOUNT_LOCKED: ErrorCode = ErrorCode::new(
    "ACCOUNT_LOCKED",
    ErrorKind::Locked,
    "The account is locked after too many failures; try again later.",
);

/// All of them.
pub const ALL: &[ErrorCode] = &[
    WEAK_PASSWORD,
    TOKEN_INVALID,
    INVALID_CREDENTIALS,
    INVALID_CODE,
    REFRESH_TOKEN_INVALID,
    REFRESH_TOKEN_REUSED,
    ACCOUNT_DISABLED,
    EMAIL_TAKEN,
    ROLE_TAKEN,
    ROLE_IN_USE,
    ROLE_PROTECTED,
    LAST_ADMIN,
    TOKEN_EXPIRED,
    ACCOUNT_LOCKED,
];
