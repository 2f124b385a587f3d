//! The caller's own account.

use axum::extract::State;
use switchyard_api::{ApiResult, Conditional, Patch, SignedIn, Tagged, codes, operation_errors};
use switchyard_identity::{Identity, User, UserFields, codes as identity_codes};
use switchyard_kernel::MergePatch;

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
