//! Refreshing and ending sessions.

use axum::extract::State;
use axum::response::IntoResponse;
use deserr::Deserr;
use switchyard_api::{Anyone, ApiResult, Faults, Json, NoContent, SignedIn, operation_errors};
use switchyard_identity::{Identity, Secret, codes as identity_codes};
use utoipa::ToSchema;

use crate::cookie::{RefreshCookie, SetRefreshCookie};
use crate::sign_in::SignInAnswer;

/// A refresh token. Browsers send it as a cookie instead.
#[derive(Debug, Default, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(crate) struct RefreshInput {
    /// The refresh token of the last answer.
    #[deserr(default, from(Option<String>) = into_secret)]
    #[schema(value_type = Option<String>,
        example = "AZCl9G8OfMSKXl2cCx8_VTK2kR0m1xqkq3T8vS2oYb1hYk9wZ2lXo0d4Q3JmN1p6c0hVd2VRZ0tqTnB0Zw")]
    refresh_token: Option<Secret>,
}

fn into_secret(text: Option<String>) -> Option<Secret> {
    text.map(Secret::new)
}

operation_errors!(RefreshErrors: identity_codes::REFRESH_TOKEN_INVALID, identity_codes::REFRESH_TOKEN_REUSED);

/// Refreshes the tokens of a session.
///
/// A refresh token can be used once; the answer contains the next one. If a token is used twice, its session
/// ends, because two parties have it. So send one refresh at a time. The token is read from the body, or else
/// from the cookie.
#[utoipa::path(post, path = "/refresh", tag = "auth",
    request_body = Option<RefreshInput>,
    params(("refresh_token" = Option<String>, Cookie, description = "The refresh token of a browser.")),
    responses(
        (status = 200, description = "New tokens. `Set-Cookie` for browsers.", body = SignInAnswer),
        RefreshErrors,
    ))]
pub(crate) async fn refresh(
    Anyone(context): Anyone,
    State(identity): State<Identity>,
    RefreshCookie(cookie): RefreshCookie,
    body: Option<Json<RefreshInput>>,
) -> ApiResult<impl IntoResponse> {
    let Json(input) = body.unwrap_or_default();
    let token = input.refresh_token.or(cookie).ok_or(identity_codes::REFRESH_TOKEN_INVALID)?;
    let sign_in = identity.sessions().refresh(&context, token.expose()).await?;
    Ok((SetRefreshCookie::of(&sign_in.tokens), Json(SignInAnswer::from(sign_in))))
}

/// Logs out of the current session.
///
/// The session's refresh token becomes invalid. Its access token no longer serves to write, and serves to read until it
/// expires.
#[utoipa::path(post, path = "/logout", tag = "auth", security(("bearer" = [])),
    extensions(("x-before-password-change" = json!(true))),
    responses((status = 204, description = "The session has ended. The browser's cookie is removed.")))]
pub(crate) async fn logout(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
) -> ApiResult<impl IntoResponse> {
    identity.sessions().log_out(&context, None).await?;
    Ok((SetRefreshCookie::Removed, NoContent))
}

/// Logs out of all sessions of the caller.
///
/// All refresh tokens become invalid. Access tokens no longer serve to write, and serve to read until they expire.
#[utoipa::path(post, path = "/logout-all", tag = "auth", security(("bearer" = [])),
    extensions(("x-before-password-change" = json!(true))),
    responses((status = 204, description = "All sessions have ended. The browser's cookie is removed.")))]
pub(crate) async fn logout_all(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
) -> ApiResult<impl IntoResponse> {
    identity.sessions().log_out_everywhere(&context).await?;
    Ok((SetRefreshCookie::Removed, NoContent))
}
