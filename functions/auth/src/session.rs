//! Refreshing and ending sessions.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use deserr::Deserr;
use switchyard_api::{
    Anyone, ApiError, ApiResult, Faults, Json, NoContent, SignedIn, SignedInIfValid, codes, operation_errors,
};
use switchyard_identity::{Identity, Secret, SessionError, codes as identity_codes};
use switchyard_sign_in::{Cookies, RefreshCookie, SignInAnswer, optional_secret};
use utoipa::ToSchema;

/// A refresh token. Browsers send it as a cookie instead.
#[derive(Debug, Default, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(crate) struct RefreshInput {
    /// The refresh token of the last answer.
    #[deserr(default, from(Option<String>) = optional_secret)]
    #[schema(value_type = Option<String>,
        example = "AZCl9G8OfMSKXl2cCx8_VTK2kR0m1xqkq3T8vS2oYb1hYk9wZ2lXo0d4Q3JmN1p6c0hVd2VRZ0tqTnB0Zw")]
    refresh_token: Option<Secret>,
}

operation_errors!(RefreshErrors: identity_codes::REFRESH_TOKEN_INVALID, identity_codes::REFRESH_TOKEN_REUSED, codes::FORBIDDEN);

/// Refreshes the tokens of a session.
///
/// The answer contains the next refresh token. For ten seconds after a refresh token was used, it can be used again and has
/// the same successor, so that two tabs can refresh at the same time. After that, or if it is older, its session ends,
/// because two parties have it.
///
/// The token is read from the body, or else from the cookie. With the cookie, `Origin` must be that of the API or be listed
/// in `CORS_ORIGINS`. If the token is refused, the cookie is removed.
#[utoipa::path(post, path = "/refresh", tag = "auth",
    request_body = Option<RefreshInput>,
    params(RefreshCookie),
    responses(
        (status = 200, description = "New tokens. `Set-Cookie` for browsers.", body = SignInAnswer),
        RefreshErrors,
    ))]
pub(crate) async fn refresh(
    Anyone(context): Anyone,
    State(identity): State<Identity>,
    cookies: Cookies,
    body: Option<Json<RefreshInput>>,
) -> ApiResult<Response> {
    let in_body = body.and_then(|Json(input)| input.refresh_token);
    let is_in_body = in_body.is_some();
    let token = cookies.refresh_token_or(in_body)?.ok_or(identity_codes::REFRESH_TOKEN_INVALID)?;
    match identity.sessions().refresh(&context, token.expose()).await {
        Ok(sign_in) => Ok((cookies.set(&sign_in.tokens), Json(SignInAnswer::from(sign_in))).into_response()),
        Err(error @ (SessionError::RefreshTokenInvalid | SessionError::RefreshTokenReused))
            if !is_in_body =>
        {
            Ok((cookies.without_session(), ApiError::from(error)).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

operation_errors!(LogoutErrors: codes::FORBIDDEN);

/// Logs out of the current session.
///
/// The session is that of the refresh token in the body or else in the cookie, and that of the access token. Neither has to
/// be valid: the answer is the same if the session has ended before. Its refresh token becomes invalid, and its access token
/// no longer serves to write. It serves to read until it expires.
///
/// With the cookie, `Origin` must be that of the API or be listed in `CORS_ORIGINS`.
#[utoipa::path(post, path = "/logout", tag = "auth",
    request_body = Option<RefreshInput>,
    params(RefreshCookie),
    responses(
        (status = 204, description = "The session has ended. The browser's cookie is removed."),
        LogoutErrors,
    ))]
pub(crate) async fn logout(
    SignedInIfValid(context): SignedInIfValid,
    State(identity): State<Identity>,
    cookies: Cookies,
    body: Option<Json<RefreshInput>>,
) -> ApiResult<impl IntoResponse> {
    let token = cookies.refresh_token_or(body.and_then(|Json(input)| input.refresh_token))?;
    identity.sessions().log_out(&context, token.as_ref().map(Secret::expose)).await?;
    Ok((cookies.without_session(), NoContent))
}

/// Logs out of all sessions of the caller.
///
/// All refresh tokens become invalid, and no access token serves to write any longer. They serve to read until they expire.
#[utoipa::path(post, path = "/logout-all", tag = "auth", security(("bearer" = [])),
    responses((status = 204, description = "All sessions have ended. The browser's cookie is removed.")))]
pub(crate) async fn logout_all(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    cookies: Cookies,
) -> ApiResult<impl IntoResponse> {
    identity.sessions().log_out_everywhere(&context).await?;
    Ok((cookies.without_session(), NoContent))
}
