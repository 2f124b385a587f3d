//! Who asks, and what they may do.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use switchyard_ambient::{Timestamp, Uuid};

use crate::context::extension;
use crate::{Api, ApiError, ApiResult, ErrorCode};

/// How long ago a caller may have authenticated to do what asks for a step-up.
pub const STEP_UP_WINDOW: Duration = Duration::from_secs(5 * 60);

/// Tells who an access token belongs to. Implemented where the keys are.
#[async_trait]
pub trait Authenticator: Debug + Send + Sync + 'static {
    /// The caller whose token this is.
    async fn authenticate(&self, token: &str) -> Result<Caller, AuthenticationError>;
}

/// Knows nobody: for programs whose routes all are public, so that they need no keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAuthenticator;

#[async_trait]
impl Authenticator for NoAuthenticator {
    async fn authenticate(&self, _token: &str) -> Result<Caller, AuthenticationError> {
        Err(AuthenticationError::Invalid)
    }
}

/// Why a token does not tell who its bearer is.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// It is no token of ours, or it was revoked.
    #[error("the access token is not valid")]
    Invalid,
    /// It was good until its time was over.
    #[error("the access token has expired")]
    Expired,
    /// It could not be found out.
    #[error("the access token could not be checked")]
    Failed(#[source] switchyard_database::Error),
}

impl From<AuthenticationError> for ApiError {
    fn from(error: AuthenticationError) -> Self {
        match error {
            AuthenticationError::Invalid => ErrorCode::Unauthenticated.into(),
            AuthenticationError::Expired => ErrorCode::AccessTokenExpired.into(),
            AuthenticationError::Failed(fault) => fault.into(),
        }
    }
}

/// A signed-in user. As an extractor it refuses everybody else: put it first among a handler's arguments, so that a
/// stranger is told to sign in and not what is wrong with the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user_id: Uuid,
    /// The session that the token was issued to.
    pub session_id: Uuid,
    /// The names of the user's roles.
    pub roles: Vec<String>,
    /// What the roles permit.
    pub permissions: BTreeSet<String>,
    /// When the user last proved who they are.
    pub auth_time: Timestamp,
}

impl Caller {
    /// Whether the caller has a permission, such as `users:read`.
    pub fn may(&self, permission: &str) -> bool {
        self.permissions.contains(permission)
    }

    /// Goes on for callers that have a permission.
    ///
    /// # Errors
    ///
    /// 403 for others.
    pub fn require(&self, permission: &str) -> ApiResult<()> {
        if self.may(permission) { Ok(()) } else { Err(ErrorCode::Forbidden.into()) }
    }

    /// Goes on for the owner of a resource and for callers that have a permission.
    ///
    /// # Errors
    ///
    /// 404 for others: whether the resource exists is not theirs to know.
    pub fn require_owner_or(&self, owner: Uuid, permission: &str) -> ApiResult<()> {
        if self.user_id == owner || self.may(permission) { Ok(()) } else { Err(ErrorCode::NotFound.into()) }
    }

    /// Goes on for callers that authenticated within [`STEP_UP_WINDOW`].
    ///
    /// # Errors
    ///
    /// 403 `STEP_UP_REQUIRED` for others.
    pub fn require_step_up(&self, now: Timestamp) -> ApiResult<()> {
        if now.since(self.auth_time) <= STEP_UP_WINDOW {
            Ok(())
        } else {
            Err(ErrorCode::StepUpRequired.into())
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> ApiResult<Self> {
        let MaybeCaller(caller) = extension::<Authentication>(&parts.extensions)?.into_caller()?;
        caller.ok_or_else(|| ErrorCode::Unauthenticated.into())
    }
}

/// A signed-in user who authenticated within [`STEP_UP_WINDOW`]: [`Caller`] with [`Caller::require_step_up`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentCaller(
    /// The caller.
    pub Caller,
);

impl<S: Send + Sync> FromRequestParts<S> for RecentCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let api: Arc<Api> = extension(&parts.extensions)?;
        caller.require_step_up(api.ambient().now())?;
        Ok(Self(caller))
    }
}

/// A signed-in user, or nobody. A token that is not good is refused here too, so that its bearer renews it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaybeCaller(
    /// The caller, if the request has a token.
    pub Option<Caller>,
);

impl<S: Send + Sync> FromRequestParts<S> for MaybeCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> ApiResult<Self> {
        extension::<Authentication>(&parts.extensions)?.into_caller()
    }
}

/// What the token of a request says. Found out once, before the handler; whether a fault matters is for the route to
/// say.
#[derive(Clone, Debug)]
pub(crate) enum Authentication {
    Anonymous,
    Caller(Arc<Caller>),
    Refused(ApiError),
}

impl Authentication {
    pub(crate) async fn of(headers: &HeaderMap, authenticator: &dyn Authenticator) -> Self {
        let Some(authorization) = headers.get(header::AUTHORIZATION) else { return Self::Anonymous };
        let Some(token) = authorization.to_str().ok().and_then(bearer) else {
            return Self::Refused(ErrorCode::Unauthenticated.into());
        };
        match authenticator.authenticate(token).await {
            Ok(caller) => Self::Caller(Arc::new(caller)),
            Err(fault) => Self::Refused(fault.into()),
        }
    }

    pub(crate) fn caller(&self) -> Option<&Caller> {
        match self {
            Self::Caller(caller) => Some(caller),
            Self::Anonymous | Self::Refused(_) => None,
        }
    }

    fn into_caller(self) -> ApiResult<MaybeCaller> {
        match self {
            Self::Anonymous => Ok(MaybeCaller(None)),
            Self::Caller(caller) => Ok(MaybeCaller(Some(Arc::unwrap_or_clone(caller)))),
            Self::Refused(error) => Err(error),
        }
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1); the scheme's case does not matter.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(permissions: &[&str]) -> Caller {
        Caller {
            user_id: Uuid::from_u128(1),
            session_id: Uuid::from_u128(2),
            roles: vec!["customer".to_owned()],
            permissions: permissions.iter().map(|&name| name.to_owned()).collect(),
            auth_time: Timestamp::from_seconds(1_000),
        }
    }

    fn code(result: ApiResult<()>) -> Option<ErrorCode> {
        result.err().map(|error| error.code())
    }

    #[test]
    fn a_permission_is_had_or_it_is_forbidden() {
        assert_eq!(code(caller(&["users:read"]).require("users:read")), None);
        assert_eq!(code(caller(&["users:read"]).require("users:write")), Some(ErrorCode::Forbidden));
    }

    #[test]
    fn a_stranger_is_not_told_that_the_resource_exists() {
        assert_eq!(code(caller(&[]).require_owner_or(Uuid::from_u128(1), "users:read")), None);
        assert_eq!(code(caller(&["users:read"]).require_owner_or(Uuid::from_u128(9), "users:read")), None);
        assert_eq!(
            code(caller(&[]).require_owner_or(Uuid::from_u128(9), "users:read")),
            Some(ErrorCode::NotFound)
        );
    }

    #[test]
    fn a_step_up_lasts_five_minutes() {
        assert_eq!(code(caller(&[]).require_step_up(Timestamp::from_seconds(1_300))), None);
        assert_eq!(
            code(caller(&[]).require_step_up(Timestamp::from_micros(1_300_000_001))),
            Some(ErrorCode::StepUpRequired)
        );
    }

    #[test]
    fn a_token_comes_with_its_scheme() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc"), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearer "), None);
        assert_eq!(bearer("abc"), None);
    }
}
