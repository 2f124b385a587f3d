use axum::response::{IntoResponse, Response};
use switchyard_api::{ApiError, ErrorCode};
use switchyard_identity::{AccountError, AuditError, EditError, Refused, RoleError, SessionError, UserError};

/// What a handler over identity returns.
pub type Answer<T> = Result<T, Failure>;

/// The error answer of a handler over identity: what `?` makes of every error of its services, and of the API's own.
///
/// It exists because neither [`ApiError`] nor those errors are of this crate.
#[derive(Clone, Debug)]
pub struct Failure(
    /// The answer.
    pub ApiError,
);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self(code.into())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let code = match refused {
            Refused::Unauthenticated => ErrorCode::Unauthenticated,
            Refused::Forbidden => ErrorCode::Forbidden,
            Refused::StepUpRequired => ErrorCode::StepUpRequired,
            Refused::NotFound => ErrorCode::NotFound,
        };
        code.into()
    }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        let answer: ApiError = match error {
            AccountError::Refused(refused) => return refused.into(),
            AccountError::Database(fault) => fault.into(),
            AccountError::Internal(cause) => ApiError::internal(cause),
            AccountError::EmailTaken => ErrorCode::EmailTaken.into(),
            AccountError::WeakPassword { reason } => weak_password("password", reason),
            AccountError::InvalidCredentials => ErrorCode::InvalidCredentials.into(),
            AccountError::AccountLocked { retry_after } => {
                ApiError::new(ErrorCode::AccountLocked).retry_after(retry_after)
            }
            AccountError::AccountDisabled => ErrorCode::AccountDisabled.into(),
        };
        Self(answer)
    }
}

/// Tells what is wrong with a password under the name that its field has, where that is not `password`.
pub fn password_named(field: &'static str) -> impl FnOnce(AccountError) -> Failure {
    move |error| match error {
        AccountError::WeakPassword { reason } => weak_password(field, reason).into(),
        other => other.into(),
    }
}

fn weak_password(field: &str, reason: String) -> ApiError {
    ApiError::new(ErrorCode::WeakPassword).detail(field, reason)
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        let answer: ApiError = match error {
            SessionError::Refused(refused) => return refused.into(),
            SessionError::Database(fault) => fault.into(),
            SessionError::Internal(cause) => ApiError::internal(cause),
            SessionError::RefreshTokenInvalid => ErrorCode::RefreshTokenInvalid.into(),
            SessionError::RefreshTokenReused => ErrorCode::RefreshTokenReused.into(),
        };
        Self(answer)
    }
}

impl From<UserError> for Failure {
    fn from(error: UserError) -> Self {
        let answer: ApiError = match error {
            UserError::Refused(refused) => return refused.into(),
            UserError::Database(fault) => fault.into(),
            UserError::EmailTaken => ErrorCode::EmailTaken.into(),
            UserError::UnknownRoles(roles) => {
                let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
                ApiError::invalid("roles", format!("there is no such role: {}", names.join(", ")))
            }
            UserError::LastAdmin => ErrorCode::LastAdmin.into(),
            UserError::BornInFuture => ApiError::invalid("date_of_birth", "must not lie in the future"),
            UserError::PreconditionFailed => ErrorCode::PreconditionFailed.into(),
        };
        Self(answer)
    }
}

impl From<RoleError> for Failure {
    fn from(error: RoleError) -> Self {
        let answer: ApiError = match error {
            RoleError::Refused(refused) => return refused.into(),
            RoleError::Database(fault) => fault.into(),
            RoleError::RoleTaken => ErrorCode::RoleTaken.into(),
            RoleError::RoleInUse => ErrorCode::RoleInUse.into(),
            RoleError::RoleProtected => ErrorCode::RoleProtected.into(),
            RoleError::PreconditionFailed => ErrorCode::PreconditionFailed.into(),
        };
        Self(answer)
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Refused(refused) => refused.into(),
            AuditError::Database(fault) => Self(fault.into()),
        }
    }
}

/// An edit is refused in the service's words, or in those of the patch that it applies.
impl<S: Into<Failure>> From<EditError<S, ApiError>> for Failure {
    fn from(error: EditError<S, ApiError>) -> Self {
        match error {
            EditError::Service(error) => error.into(),
            EditError::Edit(answer) => Self(answer),
        }
    }
}
