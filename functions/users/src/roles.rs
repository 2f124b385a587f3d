//! Roles, and what they permit.

use axum::extract::State;
use deserr::Deserr;
use switchyard_api::{
    ApiResult, Created, Faults, IfMatch, Json, NoContent, Page, PageParams, Paged, Patch, Path, SignedIn,
    Tagged, codes, operation_errors,
};
use switchyard_identity::{
    Identity, PermissionInfo, PermissionName, Role, RoleDescription, RoleFields, RoleName,
    codes as identity_codes,
};
use switchyard_kernel::MergePatch;
use utoipa::ToSchema;

/// A role that is to be made.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(crate) struct NewRole {
    /// Its name, which nobody can change later.
    name: RoleName,
    /// What it is for.
    #[deserr(default)]
    #[schema(required = false)]
    description: RoleDescription,
    /// What it permits.
    permissions: Vec<PermissionName>,
}

/// Lists the roles.
///
/// By name.
#[utoipa::path(get, path = "/roles", tag = "roles", security(("bearer" = ["roles:read"])),
    params(PageParams),
    responses((status = 200, description = "A page of roles.", body = Page<Role>)))]
pub(crate) async fn list_roles(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Paged { page, .. }: Paged,
) -> ApiResult<Json<Page<Role>>> {
    Ok(Json(identity.roles().list(&context, &page).await?))
}

operation_errors!(CreateRoleErrors: identity_codes::ROLE_TAKEN);

/// Makes a role.
///
/// Needs every permission that the role is to give: nobody makes themselves, or a friend, mightier than they are.
#[utoipa::path(post, path = "/roles", tag = "roles", security(("bearer" = ["roles:write"])),
    responses((status = 201, description = "The role.", body = Role, headers(("ETag"))), CreateRoleErrors))]
pub(crate) async fn create_role(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Json(NewRole { name, description, permissions }): Json<NewRole>,
) -> ApiResult<Created<Role>> {
    let role = identity.roles().create(&context, &name, &RoleFields { description, permissions }).await?;
    Ok(Created::tagged(format!("/api/v1/roles/{name}"), role))
}

/// Reads a role.
#[utoipa::path(get, path = "/roles/{name}", tag = "roles", security(("bearer" = ["roles:read"])),
    params(("name" = RoleName, Path, description = "The role's name.")),
    responses((status = 200, description = "The role.", body = Role, headers(("ETag")))))]
pub(crate) async fn get_role(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(name): Path<RoleName>,
) -> ApiResult<Tagged<Role>> {
    Ok(Tagged(identity.roles().get(&context, &name).await?))
}

operation_errors!(UpdateRoleErrors: identity_codes::ROLE_PROTECTED);

/// Changes what a role is for and what it permits.
///
/// Needs every permission that the role gives before and afterwards. `admin` cannot be changed. Users who have the role
/// feel the change within half a minute.
#[utoipa::path(patch, path = "/roles/{name}", tag = "roles", security(("bearer" = ["roles:write"])),
    params(("name" = RoleName, Path, description = "The role's name.")),
    request_body(content = RoleFields, content_type = MergePatch::MEDIA_TYPE),
    responses((status = 200, description = "The role.", body = Role, headers(("ETag"))), UpdateRoleErrors))]
pub(crate) async fn update_role(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(name): Path<RoleName>,
    IfMatch(precondition): IfMatch,
    Patch(patch): Patch,
) -> ApiResult<Tagged<Role>> {
    let apply = |present: &RoleFields| patch.apply_to(present);
    Ok(Tagged(identity.roles().edit(&context, &name, &precondition, apply).await?))
}

operation_errors!(DeleteRoleErrors: identity_codes::ROLE_IN_USE, identity_codes::ROLE_PROTECTED, codes::PRECONDITION_FAILED);

/// Deletes a role.
///
/// Only one that nobody has, and none of those that there were from the beginning. Needs every permission that it gives.
#[utoipa::path(delete, path = "/roles/{name}", tag = "roles", security(("bearer" = ["roles:write"])),
    params(("name" = RoleName, Path, description = "The role's name.")),
    responses((status = 204, description = "The role is deleted."), DeleteRoleErrors))]
pub(crate) async fn delete_role(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(name): Path<RoleName>,
    IfMatch(precondition): IfMatch,
) -> ApiResult<NoContent> {
    identity.roles().delete(&context, &name, &precondition).await?;
    Ok(NoContent)
}

/// Lists the permissions that roles can give.
#[utoipa::path(get, path = "/permissions", tag = "roles", security(("bearer" = ["roles:read"])),
    params(PageParams),
    responses((status = 200, description = "A page of permissions.", body = Page<PermissionInfo>)))]
pub(crate) async fn list_permissions(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Paged { page, .. }: Paged,
) -> ApiResult<Json<Page<PermissionInfo>>> {
    Ok(Json(identity.roles().permissions(&context, &page).await?))
}
