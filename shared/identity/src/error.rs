//! Why an operation did not take place: one enum a service, each case one case of the API.

use std::time::Duration;

use switchyard_database::Error as DatabaseError;

use crate::RoleName;

/// Why the caller may not do what they asked for. Part of every service's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Only a signed-in user can do this.
    #[error("sign in to do this")]
    Unauthenticated,
    /// The user lacks the permission.
    #[error("you are not allowed to do this")]
    Forbidden,
    /// The user must prove again who they are.
    #[error("authenticate again, then repeat the request")]
    StepUpRequired,
    /// There is no such thing, or the user may not know of it.
    #[error("there is no such thing")]
    NotFound,
}

/// Why identity cannot be set up on a database.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InstallError {
    /// The database is that of a program with other secrets: whoever has an account could not sign in, and the audit log
    /// could not be verified.
    #[error(
        "the database was used with another AUDIT_KEY (its id is {key_id}): start with the secrets it was set up with; \
         those that a server makes for itself lie in the `data` folder of its first start"
    )]
    OtherSecrets {
        /// The id of the key that the settings lack.
        key_id: String,
    },
    /// The database failed.
    #[error("the built-in roles cannot be stored")]
    Database(#[from] DatabaseError),
}

/// Why a call on [`Accounts`](crate::Accounts) failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AccountError {
    /// The caller may not do this.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// `EMAIL_TAKEN`: another account has the address; also a deleted one.
    #[error("another account has this e-mail address")]
    EmailTaken,
    /// `WEAK_PASSWORD`: the new password is easy to guess.
    #[error("the password is too easy to guess: {reason}")]
    WeakPassword {
        /// What is wrong with it, as in `must not be one of the most common passwords`.
        reason: String,
    },
    /// `INVALID_CREDENTIALS`: the address is unknown or the password wrong; nobody is told which.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// `ACCOUNT_LOCKED`: too many failures in a row.
    #[error("the account is locked after too many failures")]
    AccountLocked {
        /// How long it stays so.
        retry_after: Duration,
    },
    /// `ACCOUNT_DISABLED`: the password is right, but an admin has disabled the account.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A fault of the program or its configuration.
    #[error("internal identity error: {0}")]
    Internal(String),
}

/// Why a call on [`Sessions`](crate::Sessions) failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// The caller may not do this.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// `REFRESH_TOKEN_INVALID`: it is no token of ours, has expired, or its session or user is gone or disabled.
    #[error("the refresh token is not valid")]
    RefreshTokenInvalid,
    /// `REFRESH_TOKEN_REUSED`: it was used before; its session is ended.
    #[error("the refresh token was used before, so its session was ended")]
    RefreshTokenReused,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A fault of the program or its configuration.
    #[error("internal identity error: {0}")]
    Internal(String),
}

/// Why an access token does not tell who its bearer is.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// It is no access token of ours.
    #[error("the access token is not valid")]
    Invalid,
    /// It was good until its time was over.
    #[error("the access token has expired")]
    Expired,
    /// The permissions of its roles could not be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why a call on [`Users`](crate::Users) failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UserError {
    /// The caller may not do this.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// `EMAIL_TAKEN`: another account has the address; also a deleted one.
    #[error("another account has this e-mail address")]
    EmailTaken,
    /// `VALIDATION_ERROR` at `roles`: there are no such roles.
    #[error("there is no such role: {}", listed(.0))]
    UnknownRoles(Vec<RoleName>),
    /// `LAST_ADMIN`: nobody who can sign in would be an admin any more.
    #[error("this would leave nobody with the admin role")]
    LastAdmin,
    /// `VALIDATION_ERROR` at `date_of_birth`: it lies in the future.
    #[error("the date of birth lies in the future")]
    BornInFuture,
    /// `PRECONDITION_FAILED`: the resource is not in the state that the caller read.
    #[error("the resource was changed meanwhile")]
    PreconditionFailed,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why a call on [`Roles`](crate::Roles) failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RoleError {
    /// The caller may not do this.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// `ROLE_TAKEN`: there is a role of this name.
    #[error("another role has this name")]
    RoleTaken,
    /// `ROLE_IN_USE`: users have the role.
    #[error("users have this role")]
    RoleInUse,
    /// `ROLE_PROTECTED`: the role `admin` is never changed, the built-in ones are never deleted.
    #[error("this role cannot be changed or deleted")]
    RoleProtected,
    /// `PRECONDITION_FAILED`: the role is not in the state that the caller read.
    #[error("the role was changed meanwhile")]
    PreconditionFailed,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why a call on [`AuditLog`](crate::AuditLog) failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AuditError {
    /// The caller may not do this.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why a change through an editing function did not take place.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EditError<S, E> {
    /// The service refused it.
    #[error(transparent)]
    Service(S),
    /// The caller's own function refused it.
    #[error("the edit was refused")]
    Edit(E),
}

impl<S: From<DatabaseError>, E> From<DatabaseError> for EditError<S, E> {
    fn from(error: DatabaseError) -> Self {
        Self::Service(error.into())
    }
}

fn listed(roles: &[RoleName]) -> String {
    roles.iter().map(RoleName::as_str).collect::<Vec<_>>().join(", ")
}
