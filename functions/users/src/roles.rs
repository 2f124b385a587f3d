//! Roles and their permissions.

use axum::extract::State;
use deserr::Deserr;
use switchyard_api::{
    ApiResult, Conditional, Created, Faults, Json, NoContent, Page, PageParams, Paged, Patch, Path, SignedIn,
    Tagged, codes, operation_errors,
};
use switchyard_identity::{
    Identity, PermissionInfo, PermissionName, Role, RoleDescription, RoleFields, RoleName,
    codes as identity_codes,
};
use switchyard_kernel::MergePatch;
use utoipa::ToSchema;

/// A new role.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(crate) struct NewRole {
    /// The name. It cannot be changed later.
    name: RoleName,
    /// The purpose of the role.
    #[deserr(default)]
    #[schema(required = false)]
    description: RoleDescription,
    /// The permissions of the role.
    permissions: Vec<PermissionName>,
}

/// Lists roles, sorted by name.
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

/// Creates a role.
///
/// Requires every permission of the role, so that callers cannot give themselves or others more permissions
/// than they have.
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

/// Gets a role.
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

/// Updates the description and the permissions of a role.
///
/// Requires every permission that the role has before and afterwards. The role `admin` cannot be changed. The
/// change takes effect for users with the role within 30 seconds.
#[utoipa::path(patch, path = "/roles/{name}", tag = "roles", security(("bearer" = ["roles:write"])),
    params(("name" = RoleName, Path, description = "The role's name.")),
    request_body(content = RoleFields, content_type = MergePatch::MEDIA_TYPE),
    responses((status = 200, description = "The role.", body = Role, headers(("ETag"))), UpdateRoleErrors))]
pub(crate) async fn update_role(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(name): Path<RoleName>,
    Conditional(precondition): Conditional,
    Patch(patch): Patch,
) -> ApiResult<Tagged<Role>> {
    let apply = |present: &RoleFields| patch.apply_to(present);
    Ok(Tagged(identity.roles().edit(&context, &name, &precondition, apply).await?))
}

operation_errors!(DeleteRoleErrors: identity_codes::ROLE_IN_USE, identity_codes::ROLE_PROTECTED, codes::PRECONDITION_FAILED);

/// Deletes a role.
///
/// No user may have the role, and built-in roles cannot be deleted. Requires every permission of the role.
#[utoipa::path(delete, path = "/roles/{name}", tag = "roles", security(("bearer" = ["roles:write"])),
    params(("name" = RoleName, Path, description = "The role's name.")),
    responses((status = 204, description = "The role is deleted."), DeleteRoleErrors))]
pub(crate) async fn delete_role(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(name): Path<RoleName>,
    Conditional(precondition): Conditional,
) -> ApiResult<NoContent> {
    identity.roles().delete(&context, &name, &precondition).await?;
    Ok(NoContent)
}

/// Lists the permissions that roles can have.
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
