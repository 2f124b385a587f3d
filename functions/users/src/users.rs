//! Users and their accounts.

use axum::extract::State;
use switchyard_api::{
    ApiResult, Conditional, Created, Json, NoContent, Page, PageParams, Paged, Patch, Path, SignedIn, Tagged,
    codes, operation_errors,
};
use switchyard_identity::{Identity, NewUser, User, UserFields, UserId, UserStats, codes as identity_codes};
use switchyard_kernel::MergePatch;

use crate::filter::UserQuery;

/// Lists users.
///
/// A user must match all parameters. With `q`, users are searched by name and address.
#[utoipa::path(get, path = "/users", tag = "users", security(("bearer" = ["users:read"])),
    params(PageParams, UserQuery),
    responses((status = 200, description = "A page of users.", body = Page<User>)))]
pub(crate) async fn list_users(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Paged { page, filter }: Paged<UserQuery>,
) -> ApiResult<Json<Page<User>>> {
    Ok(Json(identity.users().list(&context, &filter.into(), &page).await?))
}

operation_errors!(CreateUserErrors: identity_codes::EMAIL_TAKEN);

/// Creates a user.
///
/// The account has no password, so the user cannot sign in until they have set one. This way, an admin never
/// knows another user's password. Roles other than `customer` require `roles:write` and every permission of
/// these roles.
#[utoipa::path(post, path = "/users", tag = "users", security(("bearer" = ["users:write"])),
    responses(
        (status = 201, description = "The user.", body = User, headers(("ETag"))),
        CreateUserErrors,
    ))]
pub(crate) async fn create_user(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Json(new): Json<NewUser>,
) -> ApiResult<Created<User>> {
    let user = identity.users().create(&context, &new).await?;
    Ok(Created::tagged(format!("/api/v1/users/{}", user.value.id), user))
}

/// Gets the numbers of users.
///
/// Deleted users do not count. Days are in UTC and include today.
#[utoipa::path(get, path = "/users/stats", tag = "users", security(("bearer" = ["users:read"])),
    responses((status = 200, description = "The counts.", body = UserStats)))]
pub(crate) async fn get_user_stats(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
) -> ApiResult<Json<UserStats>> {
    Ok(Json(identity.users().stats(&context).await?))
}

/// Gets a user.
///
/// For the user and for anyone with `users:read`; other callers get 404. The part of the `ETag` after the dot follows what is
/// only shown, as the last log-in; `If-Match` does not compare it.
#[utoipa::path(get, path = "/users/{id}", tag = "users", security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The user's id.")),
    responses((status = 200, description = "The user.", body = User, headers(("ETag")))))]
pub(crate) async fn get_user(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
) -> ApiResult<Tagged<User>> {
    Ok(Tagged(identity.users().get(&context, id).await?))
}

operation_errors!(ChangeUserErrors: codes::FORBIDDEN, codes::STEP_UP_REQUIRED, identity_codes::EMAIL_TAKEN);

/// Replaces a user's name and address.
///
/// For the user and for anyone with `users:write` and every permission that the user has. A new address requires a log-in
/// within the last five minutes. It counts as not verified, and ends the user's other sessions.
#[utoipa::path(put, path = "/users/{id}", tag = "users", security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The user's id.")),
    responses((status = 200, description = "The user.", body = User, headers(("ETag"))), ChangeUserErrors))]
pub(crate) async fn replace_user(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
    Conditional(precondition): Conditional,
    Json(fields): Json<UserFields>,
) -> ApiResult<Tagged<User>> {
    let replace = |_: &UserFields| Ok(fields.clone());
    Ok(Tagged(identity.users().edit(&context, id, &precondition, replace).await?))
}

/// Updates a user's name or address.
///
/// For the user and for anyone with `users:write` and every permission that the user has. A new address requires a log-in
/// within the last five minutes. It counts as not verified, and ends the user's other sessions.
#[utoipa::path(patch, path = "/users/{id}", tag = "users", security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The user's id.")),
    request_body(content = UserFields, content_type = MergePatch::MEDIA_TYPE),
    responses((status = 200, description = "The user.", body = User, headers(("ETag"))), ChangeUserErrors))]
pub(crate) async fn update_user(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
    Conditional(precondition): Conditional,
    Patch(patch): Patch,
) -> ApiResult<Tagged<User>> {
    let apply = |present: &UserFields| patch.apply_to(present);
    Ok(Tagged(identity.users().edit(&context, id, &precondition, apply).await?))
}

operation_errors!(DeleteUserErrors: codes::FORBIDDEN, identity_codes::LAST_ADMIN, codes::PRECONDITION_FAILED);

/// Deletes a user.
///
/// For the user and for anyone with `users:write` and every permission that the user has. A deleted user does
/// not appear in reads and lists, and cannot sign in. The address stays taken, and an admin can restore the
/// user.
#[utoipa::path(delete, path = "/users/{id}", tag = "users", security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The user's id.")),
    responses((status = 204, description = "The user is deleted."), DeleteUserErrors))]
pub(crate) async fn delete_user(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
    Conditional(precondition): Conditional,
) -> ApiResult<NoContent> {
    identity.users().delete(&context, id, &precondition).await?;
    Ok(NoContent)
}
