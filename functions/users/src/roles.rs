//! Roles, and what they permit.

use axum::extract::State;
use deserr::Deserr;
use switchyard_api::{
    ApiError, Created, Faults, Json, MergePatch, NoContent, NoFilter, Page, PageParams, Paged, Path, Tagged,
    operation_errors,
};
use switchyard_identity::{
    EntityTag, Identity, Listed, Permission, PermissionInfo, Role, RoleDescription, RoleFields, RoleName,
};
use switchyard_identity_http::{Answer, IfUnchanged, SignedIn};
use utoipa::ToSchema;

use crate::page::{answer_page, page_and_filter};

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
    permissions: Vec<Permission>,
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
    paged: Paged<NoFilter>,
) -> Answer<Page<Role>> {
    let (page, NoFilter {}) = page_and_filter(paged);
    let roles = identity.roles().list(&context, &page).await?;
    Ok(answer_page(roles, &page))
}

operation_errors!(CreateRoleErrors: RoleTaken);

/// Makes a role.
///
/// Needs every permission that the role is to give: nobody makes themselves, or a friend, mightier than they are.
#[utoipa::path(post, path = "/roles", tag = "roles", security(("bearer" = ["roles:write"])),
    responses((status = 201, description = "The role.", body = Role, headers(("ETag"))), CreateRoleErrors))]
pub(crate) async fn create_role(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Json(NewRole { name, description, permissions }): Json<NewRole>,
) -> Answer<Created<Role>> {
    let role = identity.roles().create(&context, &name, &RoleFields { description, permissions }).await?;
    Ok(Created::at(format!("/api/v1/roles/{name}"), role.value).tagged(role.tag))
}

/// Reads a role.
#[utoipa::path(get, path = "/roles/{name}", tag = "roles", security(("bearer" = ["roles:read"])),
    params(("name" = RoleName, Path, description = "The role's name.")),
    responses((status = 200, description = "The role.", body = Role, headers(("ETag")))))]
pub(crate) async fn get_role(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(name): Path<RoleName>,
) -> Answer<Tagged<EntityTag, Role>> {
    let role = identity.roles().get(&context, &name).await?;
    Ok(Tagged(role.tag, role.value))
}

operation_errors!(UpdateRoleErrors: RoleProtected);

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
    if_unchanged: IfUnchanged,
    patch: MergePatch,
) -> Answer<Tagged<EntityTag, Role>> {
    let apply = |present: &RoleFields| patch.apply_to(present);
    let role = identity.roles().edit(&context, &name, if_unchanged.precondition(), apply).await?;
    Ok(Tagged(role.tag, role.value))
}

operation_errors!(DeleteRoleErrors: RoleInUse, RoleProtected, PreconditionFailed);

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
    if_unchanged: IfUnchanged,
) -> Answer<NoContent> {
    identity.roles().delete(&context, &name, if_unchanged.precondition()).await?;
    Ok(NoContent)
}

/// Lists the permissions that roles can give.
#[utoipa::path(get, path = "/permissions", tag = "roles", security(("bearer" = ["roles:read"])),
    params(PageParams),
    responses((status = 200, description = "A page of permissions.", body = Page<PermissionInfo>)))]
pub(crate) async fn list_permissions(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    paged: Paged<NoFilter>,
) -> Answer<Page<PermissionInfo>> {
    let (page, NoFilter {}) = page_and_filter(paged);
    let all = identity.roles().permissions(&context).await?;
    let rest = match page.cursor.as_deref() {
        None => &all[..],
        Some(cursor) => after(&all, cursor)?,
    };
    let items = rest[..rest.len().min(page.limit as usize)].to_vec();
    let next = items.last().filter(|_| items.len() < rest.len()).map(|last| last.name.to_string());
    Ok(answer_page(Listed { items, next }, &page))
}

/// The permissions that follow the one of this name, which ended a page.
fn after<'a>(all: &'a [PermissionInfo], last: &str) -> Result<&'a [PermissionInfo], ApiError> {
    let place = all.iter().position(|permission| permission.name.as_str() == last);
    place.map(|place| &all[place + 1..]).ok_or_else(ApiError::bad_cursor)
}
