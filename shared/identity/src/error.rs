//! Why an operation failed: one enum for each service. Each variant is one case of the API.

use std::time::Duration;

use switchyard_database::Error as DatabaseError;
use switchyard_kernel::{CommonError, DomainError, ErrorReport, OtherSecret};

use crate::{RoleName, codes};

/// Why identity cannot be set up on a database.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InstallError {
    /// The database was used with another secret. With another pepper no password would be right, with another key of the audit
    /// log it could not be verified, and without a key that has sealed, what it has sealed could not be opened.
    #[error(
        "the database was used with another {setting} (the id of its key is {key_id}): start with the secrets that it was \
         set up with; a new key must be added to the old one before it replaces it"
    )]
    OtherSecret {
        /// The name of the setting.
        setting: &'static str,
        /// The id of the key that the setting lacks.
        key_id: String,
    },
    /// The database failed.
    #[error("the database cannot be prepared")]
    Database(#[from] DatabaseError),
}

/// Why a call on [`Accounts`](crate::Accounts) failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AccountError {
    /// `EMAIL_TAKEN`: another account has the address. It may be a deleted one.
    #[error("another account has this e-mail address")]
    EmailTaken,
    /// `WEAK_PASSWORD`: the new password is easy to guess.
    #[error("the password is too easy to guess: {reason}")]
    WeakPassword {
        /// The name of the password's field.
        field: &'static str,
        /// What is wrong with it, as in `must not be one of the most common passwords`.
        reason: String,
    },
    /// `INVALID_CREDENTIALS`: the address is unknown or the password wrong. The error does not say which.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// `ACCOUNT_LOCKED`: too many failures in a row.
    #[error("the account is locked after too many failures")]
    AccountLocked {
        /// How long it stays locked.
        retry_after: Duration,
    },
    /// `ACCOUNT_DISABLED`: the password is right, but an admin has disabled the account.
    #[error("the account is disabled")]
    AccountDisabled,
    /// An error that all domains share.
    #[error(transparent)]
    Common(CommonError),
}

impl<E: Into<CommonError>> From<E> for AccountError {
    fn from(error: E) -> Self {
        Self::Common(error.into())
    }
}

impl From<OtherSecret> for InstallError {
    fn from(OtherSecret { setting, key_id }: OtherSecret) -> Self {
        Self::OtherSecret { setting, key_id }
    }
}

impl DomainError for AccountError {
    fn into_report(self) -> ErrorReport {
        match self {
            Self::EmailTaken => codes::EMAIL_TAKEN.into(),
            Self::WeakPassword { field, reason } => {
                ErrorReport::new(codes::WEAK_PASSWORD).detail(field, reason)
            }
            Self::InvalidCredentials => codes::INVALID_CREDENTIALS.into(),
            Self::AccountLocked { retry_after } => {
                ErrorReport::new(codes::ACCOUNT_LOCKED).retry_after(retry_after)
            }
            Self::AccountDisabled => codes::ACCOUNT_DISABLED.into(),
            Self::Common(error) => error.into_report(),
        }
    }
}

/// Why a call on [`Sessions`](crate::Sessions) failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// `REFRESH_TOKEN_INVALID`: the service did not issue it, it has expired, or its session or user is gone or disabled.
    #[error("the refresh token is not valid")]
    RefreshTokenInvalid,
    /// `REFRESH_TOKEN_REUSED`: it was used before; its session is ended.
    #[error("the refresh token was used before, so its session was ended")]
    RefreshTokenReused,
    /// An error that all domains share.
    #[error(transparent)]
    Common(CommonError),
}

impl<E: Into<CommonError>> From<E> for SessionError {
    fn from(error: E) -> Self {
        Self::Common(error.into())
    }
}

impl DomainError for SessionError {
    fn into_report(self) -> ErrorReport {
        match self {
            Self::RefreshTokenInvalid => codes::REFRESH_TOKEN_INVALID.into(),
            Self::RefreshTokenReused => codes::REFRESH_TOKEN_REUSED.into(),
            Self::Common(error) => error.into_report(),
        }
    }
}

/// Why a call on [`Users`](crate::Users) failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UserError {
    /// `EMAIL_TAKEN`: another account has the address. It may be a deleted one.
    #[error("another account has this e-mail address")]
    EmailTaken,
    /// `VALIDATION_ERROR` at `roles`: these roles do not exist.
    #[error("there is no such role: {}", names_of(.0))]
    UnknownRoles(Vec<RoleName>),
    /// `LAST_ADMIN`: no admin who can sign in would be left.
    #[error("this would leave nobody with the admin role")]
    LastAdmin,
    /// `VALIDATION_ERROR` at `date_of_birth`: it lies in the future.
    #[error("the date of birth lies in the future")]
    BornInFuture,
    /// An error that all domains share.
    #[error(transparent)]
    Common(CommonError),
}

impl<E: Into<CommonError>> From<E> for UserError {
    fn from(error: E) -> Self {
        Self::Common(error.into())
    }
}

impl DomainError for UserError {
    fn into_report(self) -> ErrorReport {
        let invalid = |field: &str, fault: String| {
            ErrorReport::new(switchyard_kernel::codes::VALIDATION_ERROR).detail(field, fault)
        };
        match self {
            Self::EmailTaken => codes::EMAIL_TAKEN.into(),
            Self::UnknownRoles(_) => invalid("roles", self.to_string()),
            Self::LastAdmin => codes::LAST_ADMIN.into(),
            Self::BornInFuture => invalid("date_of_birth", "must not lie in the future".to_owned()),
            Self::Common(error) => error.into_report(),
        }
    }
}

/// Why a call on [`Roles`](crate::Roles) failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RoleError {
    /// `ROLE_TAKEN`: another role has the name.
    #[error("another role has this name")]
    RoleTaken,
    /// `ROLE_IN_USE`: users have the role.
    #[error("users have this role")]
    RoleInUse,
    /// `ROLE_PROTECTED`: the role `admin` is never changed, the built-in ones are never deleted.
    #[error("this role cannot be changed or deleted")]
    RoleProtected,
    /// An error that all domains share.
    #[error(transparent)]
    Common(CommonError),
}

impl<E: Into<CommonError>> From<E> for RoleError {
    fn from(error: E) -> Self {
        Self::Common(error.into())
    }
}

impl DomainError for RoleError {
    fn into_report(self) -> ErrorReport {
        match self {
            Self::RoleTaken => codes::ROLE_TAKEN.into(),
            Self::RoleInUse => codes::ROLE_IN_USE.into(),
            Self::RoleProtected => codes::ROLE_PROTECTED.into(),
            Self::Common(error) => error.into_report(),
        }
    }
}

fn names_of(roles: &[RoleName]) -> String {
    roles.iter().map(RoleName::as_str).collect::<Vec<_>>().join(", ")
}
