//! The caller's own account.

use axum::extract::State;
use deserr::Deserr;
use switchyard_api::{
    ApiResult, Conditional, Faults, Json, NoContent, Patch, SignedIn, Tagged, codes, operation_errors,
};
use switchyard_identity::{Identity, Password, Secret, User, UserFields, codes as identity_codes};
use switchyard_kernel::MergePatch;
use utoipa::ToSchema;

use crate::sign_in::into_secret;

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
}

operation_errors!(ChangePasswordErrors: identity_codes::INVALID_CREDENTIALS, identity_codes::ACCOUNT_LOCKED, identity_codes::WEAK_PASSWORD);

/// Changes the caller's password.
///
/// Ends all other sessions of the caller. A wrong current password counts as a failed sign-in, so the fifth in
/// a row locks the account. If the change was required (`PASSWORD_CHANGE_REQUIRED`), refresh the session afterwards for an
/// access token that permits everything again. If the new password is easy to guess, `details.new_password` says why.
#[utoipa::path(post, path = "/password-change", tag = "auth", security(("bearer" = [])),
    responses((status = 204, description = "The password is changed."), ChangePasswordErrors))]
pub(crate) async fn change_password(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Json(change): Json<PasswordChange>,
) -> ApiResult<NoContent> {
    let PasswordChange { current_password, new_password } = change;
    identity.accounts().change_password(&context, &current_password, &new_password).await?;
    Ok(NoContent)
}
