//! Registering and signing in.

use axum::extract::State;
use axum::response::IntoResponse;
use deserr::Deserr;
use serde::Serialize;
use switchyard_api::{Anyone, ApiResult, Created, Faults, Json, operation_errors};
use switchyard_identity::{
    DeviceName, EmailAddress, Identity, LoginOutcome, LoginRequest, Password, PersonName, Registration,
    Secret, SignIn, Tokens, User, codes as identity_codes,
};
use switchyard_kernel::Context;
use utoipa::ToSchema;

use crate::cookie::{Cookies, DeviceCookie, RefreshCookie};

/// A new account.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(crate) struct RegisterInput {
    /// The e-mail address. No other account may have it, in any spelling.
    email: EmailAddress,
    /// The password. It must be hard to guess, also for someone who knows the name and the address.
    password: Password,
    /// Your name.
    name: PersonName,
    /// A name for this device. With `web`, for browsers, the refresh token and the device token are in cookies and not in the
    /// answer.
    #[deserr(default)]
    device_name: Option<DeviceName>,
}

/// The credentials of a user.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(crate) struct LoginInput {
    /// The e-mail address.
    email: EmailAddress,
    /// The password.
    #[deserr(from(String) = into_secret)]
    #[schema(value_type = String, format = Password, example = "correct horse battery")]
    password: Secret,
    /// A name for this device. With `web`, for browsers, the refresh token and the device token are in cookies and not in the
    /// answer.
    #[deserr(default)]
    device_name: Option<DeviceName>,
    /// The device token of the last sign-in on this device. One that is not valid is ignored. Browsers send it as a cookie
    /// instead.
    #[deserr(default, from(Option<String>) = into_optional_secret)]
    #[schema(value_type = Option<String>, example = "AZCl9G8OfMSKXl2cCx8_VTK2kR0m1xqkq3T8vS2oYb1hYk9wZ2lXo0d4Q3JmN1p6")]
    device_token: Option<Secret>,
}

pub(crate) fn into_secret(text: String) -> Secret {
    Secret::new(text)
}

pub(crate) fn into_optional_secret(text: Option<String>) -> Option<Secret> {
    text.map(Secret::new)
}

/// A user who has signed in, and their tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignInAnswer {
    /// The user.
    user: User,
    /// The token to send with every request, as `Authorization: Bearer …`. It is a JWT.
    #[schema(
        example = "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLiJ9.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl"
    )]
    access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// How long the access token is valid, in seconds.
    #[schema(example = 900)]
    expires_in: u64,
    /// The token to get new tokens with at `/auth/refresh`. It can be used once. A browser has it in a cookie alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false,
        example = "AZCl9G8OfMSKXl2cCx8_VTK2kR0m1xqkq3T8vS2oYb1hYk9wZ2lXo0d4Q3JmN1p6c0hVd2VRZ0tqTnB0Zw")]
    refresh_token: Option<String>,
    /// The token to send with the next log-in on this device. With it, wrong passwords that others have tried do not keep the
    /// owner out. It is good for nothing else. A browser has it in a cookie alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "AZCl9G8OfMSKXl2cCx8_VTK2kR0m1xqkq3T8vS2oYb1hYk9wZ2lXo0d4Q3JmN1p6")]
    device_token: Option<String>,
}

impl From<SignIn> for SignInAnswer {
    fn from(SignIn { user, tokens }: SignIn) -> Self {
        let in_answer = |token: &Secret| (!Cookies::are_for(&tokens)).then(|| token.expose().to_owned());
        Self {
            refresh_token: in_answer(&tokens.refresh_token),
            device_token: in_answer(&tokens.device_token),
            user,
            access_token: tokens.access_token.expose().to_owned(),
            token_type: "Bearer",
            expires_in: tokens.expires_in.as_secs(),
        }
    }
}

operation_errors!(RegisterErrors: identity_codes::EMAIL_TAKEN, identity_codes::WEAK_PASSWORD);

/// Registers an account and signs its owner in. The session that a browser had before ends.
///
/// The address must not be taken by another account, not even by a deleted one. The password may contain any
/// characters and must be hard to guess. If it is not, `details.password` says why.
#[utoipa::path(post, path = "/register", tag = "auth",
    params(RefreshCookie),
    responses(
        (status = 201, description = "The account, signed in. `Set-Cookie` for browsers.", body = SignInAnswer),
        RegisterErrors,
    ))]
pub(crate) async fn register(
    Anyone(context): Anyone,
    State(identity): State<Identity>,
    cookies: Cookies,
    Json(RegisterInput { email, password, name, device_name }): Json<RegisterInput>,
) -> ApiResult<impl IntoResponse> {
    let registration = Registration { email, password, name, device_name };
    let sign_in = identity.accounts().register(&context, &registration).await?;
    end_replaced_session(&context, &identity, &cookies, &sign_in.tokens).await?;
    let location = format!("/api/v1/users/{}", sign_in.user.id);
    Ok((cookies.set(&sign_in.tokens), Created::at(location, SignInAnswer::from(sign_in))))
}

operation_errors!(LoginErrors: identity_codes::INVALID_CREDENTIALS, identity_codes::ACCOUNT_LOCKED, identity_codes::ACCOUNT_DISABLED);

/// Logs a user in.
///
/// An unknown address and a wrong password get the same answer. After five failures in a row, the account is
/// locked for fifteen minutes, and `Retry-After` contains the remaining seconds.
///
/// A device on which the user has signed in before sends its device token. Its failures are then counted apart: the lock of the
/// account does not concern it, nor do its failures lock the account. After five failures in a row, the token is ignored for
/// fifteen minutes. The token is read from the body, or else from the cookie, if `Origin` is that of the API or is listed in
/// `CORS_ORIGINS`. It ends with what ends all other sessions of the user, such as a new password; a session that continues gets
/// a new one when it is refreshed.
///
/// If more passwords wait to be checked than can be checked in time, the answer is 503 at once, and `Retry-After` says when to
/// try again. Devices that are known have places of their own.
///
/// The session of the refresh token that a browser loses in exchange for the new one ends.
#[utoipa::path(post, path = "/login", tag = "auth",
    params(RefreshCookie, DeviceCookie),
    responses(
        (status = 200, description = "The user, signed in. `Set-Cookie` for browsers.", body = SignInAnswer),
        LoginErrors,
    ))]
pub(crate) async fn login(
    Anyone(context): Anyone,
    State(identity): State<Identity>,
    cookies: Cookies,
    Json(LoginInput { email, password, device_name, device_token }): Json<LoginInput>,
) -> ApiResult<impl IntoResponse> {
    let device_token = cookies.device_token_or(device_token);
    let request = LoginRequest { email, password, device_name, device_token };
    let LoginOutcome::SignedIn(sign_in) = identity.accounts().login(&context, &request).await?;
    end_replaced_session(&context, &identity, &cookies, &sign_in.tokens).await?;
    Ok((cookies.set(&sign_in.tokens), Json(SignInAnswer::from(*sign_in))))
}

/// Ends the session that a browser had before: nobody would end it later, since its refresh token is lost.
async fn end_replaced_session(
    context: &Context,
    identity: &Identity,
    cookies: &Cookies,
    tokens: &Tokens,
) -> ApiResult<()> {
    if let Some(replaced) = cookies.replaced_by(tokens) {
        identity.sessions().log_out(context, Some(replaced)).await?;
    }
    Ok(())
}
