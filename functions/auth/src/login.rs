use axum::extract::State;
use axum::response::IntoResponse;
use deserr::Deserr;
use switchyard_api::{Anyone, ApiResult, Faults, Json, operation_errors};
use switchyard_identity::{
    DeviceName, EmailAddress, Identity, LoginOutcome, LoginRequest, Secret, codes as identity_codes,
};
use switchyard_sign_in::{Cookies, DeviceCookie, RefreshCookie, SignInAnswer, optional_secret, secret};
use utoipa::ToSchema;

/// The credentials of a user.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(crate) struct LoginInput {
    /// The e-mail address.
    email: EmailAddress,
    /// The password.
    #[deserr(from(String) = secret)]
    #[schema(value_type = String, format = Password, example = "correct horse battery")]
    password: Secret,
    /// A name for this device. With `web`, for browsers, the refresh token and the device token are in cookies and not in the
    /// answer.
    #[deserr(default)]
    device_name: Option<DeviceName>,
    /// The device token of the last sign-in on this device. One that is not valid is ignored. Browsers send it as a cookie
    /// instead.
    #[deserr(default, from(Option<String>) = optional_secret)]
    #[schema(value_type = Option<String>, example = "AZCl9G8OfMSKXl2cCx8_VTK2kR0m1xqkq3T8vS2oYb1hYk9wZ2lXo0d4Q3JmN1p6")]
    device_token: Option<Secret>,
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
    cookies.end_replaced_session(&context, &identity, &sign_in.tokens).await?;
    Ok((cookies.set(&sign_in.tokens), Json(SignInAnswer::from(*sign_in))))
}
