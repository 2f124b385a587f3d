//! What is known of a user beside their account.

use axum::extract::State;
use switchyard_api::{ApiError, Json, MergePatch, Path, Tagged, operation_errors};
use switchyard_identity::{EntityTag, Identity, Profile, ProfileFields, UserId};
use switchyard_identity_http::{Answer, IfUnchanged, SignedIn};

/// Reads a user's profile.
///
/// For the user, and for who has `users:read`; to others there is no such user. A profile in which nothing was ever said
/// is empty.
#[utoipa::path(get, path = "/users/{id}/profile", tag = "users", security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The user's id.")),
    responses((status = 200, description = "The profile.", body = Profile, headers(("ETag")))))]
pub(crate) async fn get_profile(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
) -> Answer<Tagged<EntityTag, Profile>> {
    let profile = identity.users().profile(&context, id).await?;
    Ok(Tagged(profile.tag, profile.value))
}

operation_errors!(ChangeProfileErrors: Forbidden);

/// Replaces a user's profile.
///
/// For the user, and for who has `users:write` and every permission that the user has. What is left out is removed.
#[utoipa::path(put, path = "/users/{id}/profile", tag = "users", security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The user's id.")),
    responses((status = 200, description = "The profile.", body = Profile, headers(("ETag"))), ChangeProfileErrors))]
pub(crate) async fn replace_profile(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
    if_unchanged: IfUnchanged,
    Json(fields): Json<ProfileFields>,
) -> Answer<Tagged<EntityTag, Profile>> {
    let replace = |_: &ProfileFields| Ok::<_, ApiError>(fields.clone());
    let profile = identity.users().edit_profile(&context, id, if_unchanged.precondition(), replace).await?;
    Ok(Tagged(profile.tag, profile.value))
}

/// Changes a user's profile.
///
/// For the user, and for who has `users:write` and every permission that the user has. `null` removes.
#[utoipa::path(patch, path = "/users/{id}/profile", tag = "users", security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The user's id.")),
    request_body(content = ProfileFields, content_type = MergePatch::MEDIA_TYPE),
    responses((status = 200, description = "The profile.", body = Profile, headers(("ETag"))), ChangeProfileErrors))]
pub(crate) async fn update_profile(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
    if_unchanged: IfUnchanged,
    patch: MergePatch,
) -> Answer<Tagged<EntityTag, Profile>> {
    let apply = |present: &ProfileFields| patch.apply_to(present);
    let profile = identity.users().edit_profile(&context, id, if_unchanged.precondition(), apply).await?;
    Ok(Tagged(profile.tag, profile.value))
}
