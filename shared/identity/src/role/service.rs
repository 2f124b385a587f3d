use ring::digest::{SHA256, digest};
use serde::Serialize;
use switchyard_database::{Cause, Entity as _, Error as DatabaseError, Query, Stored};
use switchyard_kernel::{
    CommonError, Context, EntityTag, Faults, Page, PageRequest, Permission, Permissions, Precondition,
    Refused, RoleName, Versioned, hex, rfc3339,
};
use utoipa::ToSchema;

use super::record::{ADMIN, InvalidPermissionName, PermissionName};
use super::{Role, RoleFields, RoleRecord, is_built_in};
use crate::actions::{self, role_event};
use crate::components::Components;
use crate::{RoleError, permissions};

/// A permission, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PermissionInfo {
    /// Its name.
    #[schema(example = "users:read")]
    pub name: PermissionName,
    /// What it permits.
    pub description: &'static str,
}

/// Roles and what they permit.
///
/// To change a role, the caller needs every permission that the role has before and afterwards. So users cannot give
/// themselves or anyone else more permissions than they have.
#[derive(Clone, Copy, Debug)]
pub struct Roles<'a> {
    pub(crate) identity: &'a Components,
}

impl Roles<'_> {
    /// The permissions that are declared, in the order of declaration. Requires `roles:read`.
    pub async fn permissions(
        &self,
        context: &Context,
        request: &PageRequest,
    ) -> Result<Page<PermissionInfo>, RoleError> {
        self.identity.kernel.require(context, permissions::ROLES_READ, "permissions").await?;
        let mut rest: Vec<_> = self.identity.kernel.permissions().collect();
        if let Some(cursor) = &request.cursor {
            // The cursor is the name of the last permission of the previous page.
            let last = rest.iter().position(|permission| permission.name() == cursor);
            rest.drain(..=last.ok_or(DatabaseError::BadCursor)?);
        }
        let limit = request.limit as usize;
        let next = (rest.len() > limit).then(|| rest[limit - 1].name().to_owned());
        let info = |permission: Permission| PermissionInfo {
            name: permission.into(),
            description: permission.description(),
        };
        Ok(Page::new(rest.into_iter().take(limit).map(info).collect(), request, next))
    }

    /// The roles, by name. Requires `roles:read`.
    pub async fn list(&self, context: &Context, request: &PageRequest) -> Result<Page<Role>, RoleError> {
        self.identity.kernel.require(context, permissions::ROLES_READ, "roles").await?;
        let query =
            Query::new(RoleRecord::COLLECTION, "by_name").limit(request.limit).after(request.cursor.clone());
        let page = self.identity.db().collection::<RoleRecord>().query(&query).await?;
        Ok(Page::of(page, request, |record| Role::of(record, &self.identity.kernel)))
    }

    /// A role. Requires `roles:read`.
    pub async fn get(&self, context: &Context, name: &RoleName) -> Result<Versioned<Role>, RoleError> {
        self.identity.kernel.require(context, permissions::ROLES_READ, &resource(name)).await?;
        let record = self.identity.db().collection::<RoleRecord>().get(name.as_str()).await?;
        Ok(self.versioned(&record.ok_or(Refused::NotFound)?))
    }

    /// Creates a role. Requires `roles:write` and every permission of the role.
    pub async fn create(
        &self,
        context: &Context,
        name: &RoleName,
        fields: &RoleFields,
    ) -> Result<Versioned<Role>, RoleError> {
        let context = &self.require_write(context, name).await?;
        self.require_declared(fields)?;
        self.identity.kernel.check(context, context.require_all(&set(fields)), &resource(name)).await?;
        if context.earlier_effect().is_some() {
            let record = self.identity.db().collection::<RoleRecord>().get(name.as_str()).await?;
            return Ok(self.versioned(&record.ok_or(Refused::NotFound)?));
        }
        let now = rfc3339::to_millisecond(context.now);
        let record = &RoleRecord {
            name: name.clone(),
            description: fields.description.clone(),
            permissions: names(fields).collect(),
            offered: Some(Default::default()),
            members: 0,
            created_at: now,
            updated_at: now,
        };
        let created = self
            .identity
            .transact(context, |tx| async move {
                let created = tx.insert(record)?;
                let event = role_event(actions::ROLE_CREATED, &record.name);
                tx.record(event.detail("permissions", text(fields)));
                Ok::<_, RoleError>(created)
            })
            .await
            .map_err(|error| match error {
                RoleError::Common(CommonError::Database(error))
                    if error.is_rejection_for(Cause::AlreadyExists) =>
                {
                    RoleError::RoleTaken
                }
                other => other,
            })?;
        self.identity.authority.forget(name);
        Ok(self.versioned(&created))
    }

    /// Changes the description and the permissions of a role to what `edit` returns. Requires `roles:write` and every
    /// permission that the role has before and afterwards.
    pub async fn edit(
        &self,
        context: &Context,
        name: &RoleName,
        precondition: &Precondition,
        edit: impl Fn(&RoleFields) -> Result<RoleFields, Faults>,
    ) -> Result<Versioned<Role>, RoleError> {
        let context = &self.require_write(context, name).await?;
        let (edit, kernel) = (&edit, &self.identity.kernel);
        let changed = self
            .identity
            .transact(context, |tx| async move {
                let stored = tx.get::<RoleRecord>(name.as_str()).await?.ok_or(Refused::NotFound)?;
                precondition.check(&self.versioned(&stored).tag)?;
                check(name.as_str() != ADMIN, RoleError::RoleProtected)?;
                let before = stored.fields(kernel);
                let after = edit(&before)?;
                self.require_declared(&after)?;
                tx.check(context.require_all(&set(&before).union(set(&after))), resource(name))?;
                let record = RoleRecord {
                    description: after.description.clone(),
                    permissions: names(&after).collect(),
                    updated_at: rfc3339::to_millisecond(context.now),
                    ..(*stored).clone()
                };
                let event = role_event(actions::ROLE_CHANGED, name)
                    .detail("permissions_before", text(&before))
                    .detail("permissions", text(&after));
                tx.record(event);
                Ok::<_, RoleError>(tx.replace(&stored, &record)?)
            })
            .await?;
        self.identity.authority.forget(name);
        Ok(self.versioned(&changed))
    }

    /// Deletes a role that no user has. Requires `roles:write` and every permission of the role.
    pub async fn delete(
        &self,
        context: &Context,
        name: &RoleName,
        precondition: &Precondition,
    ) -> Result<(), RoleError> {
        let context = &self.require_write(context, name).await?;
        let kernel = &self.identity.kernel;
        self.identity
            .transact(context, |tx| async move {
                let stored = tx.get::<RoleRecord>(name.as_str()).await?.ok_or(Refused::NotFound)?;
                precondition.check(&self.versioned(&stored).tag)?;
                check(!is_built_in(kernel, name), RoleError::RoleProtected)?;
                tx.check(
                    context.require_all(&self.identity.authority.permissions_in(&stored)),
                    resource(name),
                )?;
                check(stored.members == 0, RoleError::RoleInUse)?;
                tx.delete(&stored)?;
                tx.record(role_event(actions::ROLE_DELETED, name));
                Ok::<_, RoleError>(())
            })
            .await?;
        self.identity.authority.forget(name);
        Ok(())
    }

    async fn require_write(&self, context: &Context, name: &RoleName) -> Result<Context, RoleError> {
        Ok(self.identity.kernel.require_current(context, permissions::ROLES_WRITE, &resource(name)).await?)
    }

    /// Requires that every permission of a role is declared.
    fn require_declared(&self, fields: &RoleFields) -> Result<(), Faults> {
        let mut faults = Faults::new();
        for (place, name) in fields.permissions.iter().enumerate() {
            if !self.identity.kernel.permissions().any(|declared| declared.name() == name.as_str()) {
                faults.add(&format!("permissions[{place}]"), InvalidPermissionName);
            }
        }
        faults.or(())
    }

    fn versioned(&self, record: &Stored<RoleRecord>) -> Versioned<Role> {
        let role = Role::of(record, &self.identity.kernel);
        Versioned { tag: tag_of(&role), value: role }
    }
}

fn check(holds: bool, otherwise: RoleError) -> Result<(), RoleError> {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn resource(name: &RoleName) -> String {
    format!("roles/{name}")
}

fn names(fields: &RoleFields) -> impl Iterator<Item = String> {
    fields.permissions.iter().map(|permission| permission.as_str().to_owned())
}

fn set(fields: &RoleFields) -> Permissions {
    Permissions::from_names(names(fields))
}

/// The permissions, for the audit log.
fn text(fields: &RoleFields) -> String {
    names(fields).collect::<Vec<_>>().join(" ")
}

/// The tag of the visible part of a role. The document's version cannot serve as the tag: it changes whenever a user is
/// given the role, because the role counts its users.
fn tag_of(role: &Role) -> EntityTag {
    let visible = serde_json::to_vec(role).unwrap_or_default(); // plain fields always serialise
    EntityTag::new(hex(&digest(&SHA256, &visible).as_ref()[..16]))
}
