//! The caller's own account.

use axum::extract::State;
use deserr::Deserr;
use switchyard_api::{
    ApiResult, Conditional, Faults, Json, NoContent, Patch, SignedIn, Tagged, codes, operation_errors,
};
use switchyard_identity::{Identity, Password, Secret, User, UserFields, codes as identity_codes};
use switchyard_kernel::MergePatch;
use utoipa::ToSchema;

use crate::cookie::{Cookies, DeviceCookie};
use crate::sign_in::{into_optional_secret, into_secret};

/// Gets the caller's account.
#[utoipa::path(get, path = "/me", tag = "auth", security(("bearer" = [])),
    responses((status = 200, description = "The account.", body = User, headers(("ETag")))))]
pub(crate) async fn get_me(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
) -> ApiResult<Tagged<User>> {
    Ok(Tagged(identity.accounts().me(&context).await?))
}

operation_errors!(UpdateMeErrors: codes::STEP_UP_REQUIRED, identity_codes::EMAIL_TAKEN);

/// Updates the caller's name and address.
///
/// A new address requires a log-in within the last five minutes. It counts as not verified, and ends the caller's other
/// sessions.
#[utoipa::path(patch, path = "/me", tag = "auth", security(("bearer" = [])),
    request_body(content = UserFields, content_type = MergePatch::MEDIA_TYPE),
    responses((status = 200, description = "The account.", body = User, headers(("ETag"))), UpdateMeErrors))]
pub(crate) async fn update_me(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Conditional(precondition): Conditional,
    Patch(patch): Patch,
) -> ApiResult<Tagged<User>> {
    let accounts = identity.accounts();
    Ok(Tagged(accounts.edit_me(&context, &precondition, |present| patch.apply_to(present)).await?))
}

/// A change of the caller's password.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(crate) struct PasswordChange {
    /// The current password.
    #[deserr(from(String) = into_secret)]
    #[schema(value_type = String, format = Password, example = "correct horse battery")]
    current_password: Secret,
    /// The new password. It must be hard to guess.
    new_password: Password,
    /// The device token of the last sign-in on this device, as for a log-in. Browsers send it as a cookie instead.
    #[deserr(default, from(Option<String>) = into_optional_secret)]
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
