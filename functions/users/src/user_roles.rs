//! The roles of users.

use axum::extract::State;
use deserr::Deserr;
use serde::Serialize;
use switchyard_api::{ApiResult, Conditional, Faults, Json, Path, SignedIn, Tagged, codes, operation_errors};
use switchyard_identity::{Identity, RoleList, RoleName, UserId, codes as identity_codes};
use utoipa::ToSchema;

/// The new roles of a user.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(crate) struct UserRolesInput {
    /// The names of the roles. The first is shown as the user's `role`.
    roles: RoleList,
}

/// The roles of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserRoles {
    /// The names of the roles. The first is shown as the user's `role`.
    roles: Vec<RoleName>,
}

/// Gets a user's roles.
///
/// For the user and for anyone with `users:read`; other callers get 404.
#[utoipa::path(get, path = "/users/{id}/roles", tag = "roles", security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The user's id.")),
    responses((status = 200, description = "The roles.", body = UserRoles, headers(("ETag")))))]
pub(crate) async fn get_user_roles(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
) -> ApiResult<Tagged<UserRoles>> {
    let roles = identity.users().roles(&context, id).await?;
    Ok(Tagged(roles.map(|roles| UserRoles { roles })))
}

operation_errors!(ReplaceUserRolesErrors: codes::STEP_UP_REQUIRED, identity_codes::LAST_ADMIN);

/// Replaces a user's roles.
///
/// Requires every permission that the user has, and every permission of the roles that are added or removed.
/// The user's access tokens contain the old roles until they expire.
#[utoipa::path(put, path = "/users/{id}/roles", tag = "roles", security(("bearer" = ["roles:write"])),
    params(("id" = UserId, Path, description = "The user's id.")),
    responses((status = 200, description = "The roles.", body = UserRoles, headers(("ETag"))), ReplaceUserRolesErrors))]
pub(crate) async fn replace_user_roles(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
    Conditional(precondition): Conditional,
    Json(UserRolesInput { roles }): Json<UserRolesInput>,
) -> ApiResult<Tagged<UserRoles>> {
    let roles = identity.users().set_roles(&context, id, &roles, &precondition).await?;
    Ok(Tagged(roles.map(|roles| UserRoles { roles })))
}
