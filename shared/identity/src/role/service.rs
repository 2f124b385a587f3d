use ring::digest::{SHA256, digest};
use serde::Serialize;
use switchyard_database::{Cause, Entity as _, Query, Stored};
use utoipa::ToSchema;

use super::record::ADMIN;
use super::{Role, RoleFields, RoleRecord, is_built_in};
use crate::audit::{Action, AuditEvent};
use crate::core::Core;
use crate::secret::hex;
use crate::{
    Context, EditError, EntityTag, Listed, PageRequest, Permission, Permissions, Precondition, Refused,
    RoleError, RoleName, Tagged, rfc3339,
};

/// A permission, and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PermissionInfo {
    /// Its name.
    #[schema(example = "users:read")]
    pub name: Permission,
    /// What it permits.
    pub description: &'static str,
}

/// Roles and what they permit.
///
/// Who changes a role must have every permission that it has before and afterwards: nobody makes themselves, or a friend,
/// mightier than they are.
#[derive(Clone, Copy, Debug)]
pub struct Roles<'a>(pub(crate) &'a Core);

impl Roles<'_> {
    /// Every permission there is. Needs `roles:read`.
    pub async fn permissions(&self, context: &Context) -> Result<Vec<PermissionInfo>, RoleError> {
        self.0.require(context, Permission::RolesRead, "permissions").await?;
        let info = |&name: &Permission| PermissionInfo { name, description: name.description() };
        Ok(Permission::ALL.iter().map(info).collect())
    }

    /// The roles, by name. Needs `roles:read`.
    pub async fn list(&self, context: &Context, page: &PageRequest) -> Result<Listed<Role>, RoleError> {
        self.0.require(context, Permission::RolesRead, "roles").await?;
        let query =
            Query::new(RoleRecord::COLLECTION, "by_name").limit(page.limit).after(page.cursor.clone());
        let page = self.0.db.collection::<RoleRecord>().query(&query).await?;
        Ok(Listed { items: page.items.iter().map(|record| Role::from(&**record)).collect(), next: page.next })
    }

    /// A role. Needs `roles:read`.
    pub async fn get(&self, context: &Context, name: &RoleName) -> Result<Tagged<Role>, RoleError> {
        self.0.require(context, Permission::RolesRead, &resource(name)).await?;
        let record = self.0.db.collection::<RoleRecord>().get(name.as_str()).await?;
        Ok(tagged(&record.ok_or(Refused::NotFound)?))
    }

    /// Makes a role. Needs `roles:write` and what the role is to permit.
    pub async fn create(
        &self,
        context: &Context,
        name: &RoleName,
        fields: &RoleFields,
    ) -> Result<Tagged<Role>, RoleError> {
        let context = &self.require_create(context, name, fields).await?;
        let now = rfc3339::to_millisecond(context.now);
        let record = RoleRecord {
            name: name.clone(),
            description: fields.description.clone(),
            permissions: fields.permissions.iter().copied().collect(),
            members: 0,
            created_at: now,
            updated_at: now,
        };
        let record = &record;
        let created = self
            .0
            .transact(context, |work| async move {
                let created = work.tx.insert(record)?;
                let event = AuditEvent::of_role(Action::ROLE_CREATED, &record.name);
                work.record(event.detail("permissions", names(record.permissions)));
                Ok::<_, RoleError>(created)
            })
            .await
            .map_err(|error| match error {
                RoleError::Database(error) if error.is_rejection_for(Cause::AlreadyExists) => {
                    RoleError::RoleTaken
                }
                other => other,
            })?;
        self.0.roles.forget(name);
        Ok(tagged(&created))
    }

    /// Changes what a role is for and what it permits, to what `edit` makes of it. Needs `roles:write` and what the role
    /// permits before and afterwards.
    pub async fn edit<E>(
        &self,
        context: &Context,
        name: &RoleName,
        precondition: Precondition<'_>,
        edit: impl Fn(&RoleFields) -> Result<RoleFields, E>,
    ) -> Result<Tagged<Role>, EditError<RoleError, E>> {
        let context = &self.0.require_still(context, Permission::RolesWrite, &resource(name)).await?;
        let edit = &edit;
        let result = self
            .0
            .transact(context, |work| async move {
                let stored = work.tx.get::<RoleRecord>(name.as_str()).await?;
                let stored = stored.ok_or(RoleError::Refused(Refused::NotFound))?;
                check(precondition.holds(&tag_of(&stored)), RoleError::PreconditionFailed)?;
                check(name.as_str() != ADMIN, RoleError::RoleProtected)?;
                let before = stored.fields();
                let after = edit(&before).map_err(EditError::Edit)?;
                let permissions: Permissions = after.permissions.iter().copied().collect();
                let touched = stored.permissions.union(permissions);
                check(context.permissions().covers(touched), RoleError::Refused(Refused::Forbidden))?;
                let record = RoleRecord {
                    description: after.description,
                    permissions,
                    updated_at: rfc3339::to_millisecond(context.now),
                    ..(*stored).clone()
                };
                let event = AuditEvent::of_role(Action::ROLE_CHANGED, name)
                    .detail("permissions_before", names(stored.permissions))
                    .detail("permissions", names(permissions));
                work.record(event);
                Ok::<_, EditError<RoleError, E>>(work.tx.replace(&stored, &record)?)
            })
            .await;
        let changed = self.0.note(context, &resource(name), result).await?;
        self.0.roles.forget(name);
        Ok(tagged(&changed))
    }

    /// Deletes a role that nobody has. Needs `roles:write` and what the role permits.
    pub async fn delete(
        &self,
        context: &Context,
        name: &RoleName,
        precondition: Precondition<'_>,
    ) -> Result<(), RoleError> {
        let context = &self.0.require_still(context, Permission::RolesWrite, &resource(name)).await?;
        let result = self
            .0
            .transact(context, |work| async move {
                let stored = work.tx.get::<RoleRecord>(name.as_str()).await?.ok_or(Refused::NotFound)?;
                check(precondition.holds(&tag_of(&stored)), RoleError::PreconditionFailed)?;
                check(!is_built_in(name), RoleError::RoleProtected)?;
                check(
                    context.permissions().covers(stored.permissions),
                    RoleError::Refused(Refused::Forbidden),
                )?;
                check(stored.members == 0, RoleError::RoleInUse)?;
                work.tx.delete(&stored)?;
                work.record(AuditEvent::of_role(Action::ROLE_DELETED, name));
                Ok::<_, RoleError>(())
            })
            .await;
        self.0.note(context, &resource(name), result).await?;
        self.0.roles.forget(name);
        Ok(())
    }

    async fn require_create(
        &self,
        context: &Context,
        name: &RoleName,
        fields: &RoleFields,
    ) -> Result<Context, RoleError> {
        let context = self.0.require_still(context, Permission::RolesWrite, &resource(name)).await?;
        let permissions = fields.permissions.iter().copied().collect();
        let verdict =
            if context.permissions().covers(permissions) { Ok(()) } else { Err(Refused::Forbidden) };
        self.0.judge(&context, verdict, &resource(name)).await?;
        Ok(context)
    }
}

fn check(holds: bool, otherwise: RoleError) -> Result<(), RoleError> {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn resource(name: &RoleName) -> String {
    format!("roles/{name}")
}

fn names(permissions: Permissions) -> String {
    permissions.iter().map(Permission::as_str).collect::<Vec<_>>().join(" ")
}

/// The tag of what is shown of a role. The document's version will not do: it changes whenever somebody is given the role,
/// because the users who have it are counted in it.
fn tag_of(record: &RoleRecord) -> EntityTag {
    let shown = serde_json::to_vec(&Role::from(record)).unwrap_or_default(); // plain fields always serialise
    EntityTag(hex(&digest(&SHA256, &shown).as_ref()[..16]))
}

fn tagged(record: &Stored<RoleRecord>) -> Tagged<Role> {
    Tagged { value: Role::from(&**record), tag: tag_of(record) }
}
