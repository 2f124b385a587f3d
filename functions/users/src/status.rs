//! Changes of a user's state: disabling, enabling, unlocking, restoring.

use axum::extract::State;
use switchyard_api::{ApiResult, Path, SignedIn, Tagged, operation_errors};
use switchyard_identity::{Identity, User, UserId, codes as identity_codes};

/// Restores a deleted user.
///
/// The user gets those of their roles that still exist. A user who was disabled stays disabled. If the user is
/// not deleted, nothing changes.
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

/// Disables a user.
///
/// The user can no longer sign in, and all their sessions end. Their access tokens no longer serve to write, and serve to
/// read until they expire.
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

/// Enables a user.
///
/// The sessions that ended when the user was disabled stay ended.
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

/// Unlocks a user.
///
/// Removes the lock after too many failed sign-ins, and resets the count of failures. Users cannot lift their
/// own lock.
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
