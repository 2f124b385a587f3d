use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use switchyard_api::{ApiError, ApiResult, Caller, RequestContext};
use switchyard_identity::{Actor, Context, Permissions, Principal, RoleName};

// Neither crate knows the other, and both say when a step-up is asked for.
const _: () = assert!(
    switchyard_api::STEP_UP_WINDOW.as_nanos() == switchyard_identity::STEP_UP_WINDOW.as_nanos(),
    "the API and identity agree on how long a step-up lasts"
);

/// The context of a request by a signed-in user; everybody else is refused with 401. Put it first among a handler's
/// arguments, so that a stranger is told to sign in and not what is wrong with the body.
#[derive(Clone, Debug)]
pub struct SignedIn(
    /// The context.
    pub Context,
);

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let Anyone(context) = Anyone::from_request_parts(parts, state).await?;
        Ok(Self(context.by(Actor::User(principal(caller)))))
    }
}

/// The context of a request by anyone. A token that the request may carry is not looked at: whoever signs in, or renews
/// a token, may well send one that has expired.
#[derive(Clone, Debug)]
pub struct Anyone(
    /// The context.
    pub Context,
);

impl<S: Send + Sync> FromRequestParts<S> for Anyone {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let request = RequestContext::from_request_parts(parts, state).await?;
        Ok(Self(Context {
            actor: Actor::Anonymous,
            request_id: request.request_id.to_string(),
            address: request.client_address,
            user_agent: request.user_agent,
            now: request.received_at,
        }))
    }
}

/// The caller in identity's types. [`AccessTokens`](crate::AccessTokens) made it of them, so nothing is lost.
fn principal(caller: Caller) -> Principal {
    Principal {
        user_id: caller.user_id.into(),
        session_id: caller.session_id.into(),
        roles: caller.roles.into_iter().filter_map(|name| RoleName::try_from(name).ok()).collect(),
        permissions: Permissions::from_names(caller.permissions.iter().map(String::as_str)),
        auth_time: caller.auth_time,
    }
}
