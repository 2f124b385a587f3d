//! The profiles of users.

use axum::extract::State;
use switchyard_api::{ApiResult, Conditional, Json, Patch, Path, SignedIn, Tagged, codes, operation_errors};
use switchyard_identity::{Identity, Profile, ProfileFields, UserId};
use switchyard_kernel::MergePatch;

/// Gets a user's profile.
///
/// For the user and for anyone with `users:read`; other callers get 404. A profile that was never set is empty.
#[utoipa::path(get, path = "/users/{id}/profile", tag = "users", security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The user's id.")),
    responses((status = 200, description = "The profile.", body = Profile, headers(("ETag")))))]
pub(crate) async fn get_profile(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
) -> ApiResult<Tagged<Profile>> {
    Ok(Tagged(identity.users().profile(&context, id).await?))
}

operation_errors!(ChangeProfileErrors: codes::FORBIDDEN);

/// Replaces a user's profile.
///
/// For the user and for anyone with `users:write` and every permission that the user has. Fields that are left
/// out are removed.
#[utoipa::path(put, path = "/users/{id}/profile", tag = "users", security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The user's id.")),
    responses((status = 200, description = "The profile.", body = Profile, headers(("ETag"))), ChangeProfileErrors))]
pub(crate) async fn replace_profile(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
    Conditional(precondition): Conditional,
    Json(fields): Json<ProfileFields>,
) -> ApiResult<Tagged<Profile>> {
    let replace = |_: &ProfileFields| Ok(fields.clone());
    Ok(Tagged(identity.users().edit_profile(&context, id, &precondition, replace).await?))
}

/// Updates a user's profile.
///
/// For the user and for anyone with `users:write` and every permission that the user has. `null` removes a
/// field.
#[utoipa::path(patch, path = "/users/{id}/profile", tag = "users", security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The user's id.")),
    request_body(content = ProfileFields, content_type = MergePatch::MEDIA_TYPE),
    responses((status = 200, description = "The profile.", body = Profile, headers(("ETag"))), ChangeProfileErrors))]
pub(crate) async fn update_profile(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
    Conditional(precondition): Conditional,
    Patch(patch): Patch,
) -> ApiResult<Tagged<Profile>> {
    let apply = |present: &ProfileFields| patch.apply_to(present);
    Ok(Tagged(identity.users().edit_profile(&context, id, &precondition, apply).await?))
}
