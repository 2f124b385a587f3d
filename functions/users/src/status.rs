//! Who is let in.

use axum::extract::State;
use switchyard_api::{ApiResult, Path, SignedIn, Tagged, operation_errors};
use switchyard_identity::{Identity, User, UserId, codes as identity_codes};

/// Restores a deleted user.
///
/// With those of their roles that there still are, and disabled if they were. A user who is not deleted stays as they
/// are.
#[utoipa::path(post, path = "/users/{id}/restore", tag = "users", security(("bearer" = ["users:write"])),
    params(("id" = UserId, Path, description = "The user's id.")),
    responses((status = 200, description = "The user.", body = User, headers(("ETag")))))]
pub(crate) async fn restore_user(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
) -> ApiResult<Tagged<User>> {
    Ok(Tagged(identity.users().restore(&context, id).await?))
}

operation_errors!(DisableUserErrors: identity_codes::LAST_ADMIN);

/// Shuts a user out.
///
/// Nobody can sign in to the account, and its sessions end; access tokens stay good until they expire.
#[utoipa::path(post, path = "/users/{id}/disable", tag = "users", security(("bearer" = ["users:write"])),
    params(("id" = UserId, Path, description = "The user's id.")),
    responses((status = 200, description = "The user.", body = User, headers(("ETag"))), DisableUserErrors))]
pub(crate) async fn disable_user(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
) -> ApiResult<Tagged<User>> {
    Ok(Tagged(identity.users().disable(&context, id).await?))
}

/// Lets a user in again.
///
/// The sessions that ended stay so.
#[utoipa::path(post, path = "/users/{id}/enable", tag = "users", security(("bearer" = ["users:write"])),
    params(("id" = UserId, Path, description = "The user's id.")),
    responses((status = 200, description = "The user.", body = User, headers(("ETag")))))]
pub(crate) async fn enable_user(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
) -> ApiResult<Tagged<User>> {
    Ok(Tagged(identity.users().enable(&context, id).await?))
}

/// Lifts a lock.
///
/// The one that too many failures to sign in brought on; the failures are forgotten. Nobody lifts their own.
#[utoipa::path(post, path = "/users/{id}/unlock", tag = "users", security(("bearer" = ["users:write"])),
    params(("id" = UserId, Path, description = "The user's id.")),
    responses((status = 200, description = "The user.", body = User, headers(("ETag")))))]
pub(crate) async fn unlock_user(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
) -> ApiResult<Tagged<User>> {
    Ok(Tagged(identity.users().unlock(&context, id).await?))
}
