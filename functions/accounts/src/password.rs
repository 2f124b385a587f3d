use axum::extract::State;
use deserr::Deserr;
use switchyard_api::{ApiResult, Faults, Json, NoContent, SignedIn, operation_errors};
use switchyard_identity::{Identity, Password, Secret, codes as identity_codes};
use switchyard_sign_in::{Cookies, DeviceCookie, optional_secret, secret};
use utoipa::ToSchema;

/// A change of the caller's password.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(crate) struct PasswordChange {
    /// The current password.
    #[deserr(from(String) = secret)]
    #[schema(value_type = String, format = Password, example = "correct horse battery")]
    current_password: Secret,
    /// The new password. It must be hard to guess.
    new_password: Password,
    /// The device token of the last sign-in on this device, as for a log-in. Browsers send it as a cookie instead.
    #[deserr(default, from(Option<String>) = optional_secret)]
    #[schema(value_type = Option<String>, example = "AZCl9G8OfMSKXl2cCx8_VTK2kR0m1xqkq3T8vS2oYb1hYk9wZ2lXo0d4Q3JmN1p6")]
    device_token: Option<Secret>,
}

operation_errors!(ChangePasswordErrors: identity_codes::INVALID_CREDENTIALS, identity_codes::ACCOUNT_LOCKED, identity_codes::WEAK_PASSWORD);

/// Changes the caller's password.
///
/// Ends all other sessions of the caller. A wrong current password counts as a failed sign-in, so the fifth in
/// a row locks the account, or with a device token the device. No device token is valid afterwards: refresh the session for a
/// new one. If the change was required (`PASSWORD_CHANGE_REQUIRED`), refresh the session afterwards for an
/// access token that permits everything again. If the new password is easy to guess, `details.new_password` says why.
#[utoipa::path(post, path = "/password-change", tag = "auth", security(("bearer" = [])),
    params(DeviceCookie),
    responses((status = 204, description = "The password is changed."), ChangePasswordErrors))]
pub(crate) async fn change_password(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    cookies: Cookies,
    Json(change): Json<PasswordChange>,
) -> ApiResult<NoContent> {
    let PasswordChange { current_password, new_password, device_token } = change;
    let device_token = cookies.device_token_or(device_token);
    let accounts = identity.accounts();
    accounts.change_password(&context, &current_password, &new_password, device_token.as_ref()).await?;
    Ok(NoContent)
}
