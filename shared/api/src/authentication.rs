//! Who sends a request: the extractors for an operation's context.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde_json::json;
use switchyard_kernel::{Actor, Attack, AuthenticationError, Authenticator, Context, Principal};
use utoipa::openapi::path::Operation;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::openapi::operations::{mark, marked};
use crate::request::extension;
use crate::{ApiError, ApiResult, codes};

/// The context of a request by a signed-in user. Any other request is refused with 401. Make it a handler's first
/// argument, so that the 401 comes before faults of the body.
#[derive(Clone, Debug)]
pub struct SignedIn(
    /// The context.
    pub Context,
);

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let MaybeSignedIn(context) = MaybeSignedIn::from_request_parts(parts, state).await?;
        context.principal()?;
        Ok(Self(context))
    }
}

/// The context of a request by anyone. If the request has a token, it is ignored: a client that signs in or
/// renews a token may well send one that has expired.
#[derive(Clone, Debug)]
pub struct Anyone(
    /// The context.
    pub Context,
);

impl<S: Send + Sync> FromRequestParts<S> for Anyone {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> ApiResult<Self> {
        let context: Arc<Context> = extension(&parts.extensions)?;
        Ok(Self(Context::clone(&context)))
    }
}

/// The context of a request by a signed-in user or by someone who sends no token. An invalid token is refused
/// with 401, so that the client renews it.
#[derive(Clone, Debug)]
pub struct MaybeSignedIn(
    /// The context.
    pub Context,
);

impl<S: Send + Sync> FromRequestParts<S> for MaybeSignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let Anyone(context) = Anyone::from_request_parts(parts, state).await?;
        match extension::<Authentication>(&parts.extensions)? {
            Authentication::Anonymous => Ok(Self(context)),
            Authentication::User(user) => Ok(Self(context.by(Actor::User(Arc::unwrap_or_clone(user))))),
            Authentication::Refused(error) => Err(error),
        }
    }
}

/// The context of a request by a signed-in user or by anyone else: an invalid token counts as none. For an operation that
/// must not fail because the token has expired, such as logging out.
#[derive(Clone, Debug)]
pub struct SignedInIfValid(
    /// The context.
    pub Context,
);

impl<S: Send + Sync> FromRequestParts<S> for SignedInIfValid {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let Anyone(context) = Anyone::from_request_parts(parts, state).await?;
        match extension::<Authentication>(&parts.extensions)? {
            Authentication::User(user) => Ok(Self(context.by(Actor::User(Arc::unwrap_or_clone(user))))),
            Authentication::Anonymous | Authentication::Refused(_) => Ok(Self(context)),
        }
    }
}

/// The mark of operations that users may call who must change their password first.
const BEFORE_PASSWORD_CHANGE: &str = "before_password_change";

/// Lets users call these operations who must change their password before they may do anything else.
pub fn before_password_change<S>(routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    mark(routes, BEFORE_PASSWORD_CHANGE, &json!(true))
}

/// Whether users may call an operation who must change their password first.
pub(crate) fn is_before_password_change(operation: &Operation) -> bool {
    marked(operation, BEFORE_PASSWORD_CHANGE).is_some()
}

/// The result of checking a request's token. It is checked once, before the handler; whether a bad token
/// matters is up to the route.
#[derive(Clone, Debug)]
pub(crate) enum Authentication {
    Anonymous,
    User(Arc<Principal>),
    Refused(ApiError),
}

impl Authentication {
    pub(crate) async fn of(
        headers: &HeaderMap,
        authenticator: &dyn Authenticator,
        context: &Context,
    ) -> Self {
        let Some(authorization) = headers.get(header::AUTHORIZATION) else { return Self::Anonymous };
        let authorization = String::from_utf8_lossy(authorization.as_bytes());
        // Credentials of another scheme are none of this API's.
        let Some(token) = bearer(&authorization) else {
            return Self::Refused(codes::UNAUTHENTICATED.into());
        };
        match authenticator.authenticate(token, context.now).await {
            Ok(user) => Self::User(Arc::new(user)),
            Err(error) => {
                if error == AuthenticationError::Invalid {
                    authenticator.note(context, &Attack::TokenRefused).await;
                }
                Self::Refused(error.into())
            }
        }
    }

    /// Refuses users who must change their password first.
    #[must_use]
    pub(crate) fn after_password_change(self) -> Self {
        match self {
            Self::User(user) if user.password_change_required => {
                Self::Refused(codes::PASSWORD_CHANGE_REQUIRED.into())
            }
            other => other,
        }
    }

    pub(crate) fn user(&self) -> Option<&Principal> {
        match self {
            Self::User(user) => Some(user),
            Self::Anonymous | Self::Refused(_) => None,
        }
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1), which may be empty. The scheme is not case-sensitive.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_with_its_scheme() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc"), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearer "), Some(""));
        assert_eq!(bearer("Bearer"), Some(""));
        assert_eq!(bearer("abc"), None);
    }
}
