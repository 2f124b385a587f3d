use crate::actions::{self, user_event};
use crate::permissions;
use deserr::{DeserializeError, Deserr, ErrorKind, IntoValue, ValuePointerRef, take_cf_content};
use serde::Serialize;
use switchyard_database::Stored;
use switchyard_kernel::{Context, Permissions, Precondition, RoleName, UserId, Versioned};
use utoipa::ToSchema;

use super::service::resource;
use super::{UserRecord, Users};
use crate::UserError;
use crate::role::{CUSTOMER, RoleRecord};
use crate::user_changes::UserChanges;

/// The roles of a user: 1 to 20 different ones. The first is shown as `role`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = std::collections::HashSet<RoleName>, min_items = 1, max_items = 20, example = json!(["customer", "support"]))]
pub struct RoleList(Vec<RoleName>);

/// The names are not a list of roles for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must name 1 to 20 different roles")]
pub struct InvalidRoleList;

impl RoleList {
    /// The names.
    pub fn names(&self) -> &[RoleName] {
        &self.0
    }
}

impl TryFrom<Vec<RoleName>> for RoleList {
    type Error = InvalidRoleList;

    fn try_from(names: Vec<RoleName>) -> Result<Self, InvalidRoleList> {
        let distinct = names.iter().enumerate().all(|(place, name)| !names[..place].contains(name));
        if distinct && (1..=20).contains(&names.len()) { Ok(Self(names)) } else { Err(InvalidRoleList) }
    }
}

impl<E: DeserializeError> Deserr<E> for RoleList {
    fn deserialize_from_value<V: IntoValue>(
        value: deserr::Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, E> {
        let names = Vec::<RoleName>::deserialize_from_value(value, location)?;
        Self::try_from(names).map_err(|fault| {
            let kind = ErrorKind::Unexpected::<V> { msg: fault.to_string() };
            take_cf_content(E::error(None, kind, location))
        })
    }
}

/// The roles of new users.
pub(crate) fn default_roles() -> Vec<RoleName> {
    vec![RoleName::built_in(CUSTOMER)]
}

/// The roles of a user, with the tag of the user's changeable state.
fn roles_of(user: &UserRecord) -> Versioned<Vec<RoleName>> {
    Versioned { value: user.roles.clone(), tag: user.tag() }
}

/// The names of a user's roles, for the audit log.
pub(crate) fn roles_text(user: &UserRecord) -> String {
    user.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" ")
}

impl Users<'_> {
    /// A user's roles. Requires the user themselves, or `users:read`.
    pub async fn roles(&self, context: &Context, id: UserId) -> Result<Versioned<Vec<RoleName>>, UserError> {
        let user = self.require_visible(context, id).await?;
        Ok(roles_of(&user))
    }

    /// Replaces a user's roles, and returns them. Requires `roles:write`, a step-up, every permission that the user has, and
    /// every permission of the roles that are added or removed.
    pub async fn set_roles(
        &self,
        context: &Context,
        id: UserId,
        roles: &RoleList,
        precondition: &Precondition,
    ) -> Result<Versioned<Vec<RoleName>>, UserError> {
        let context =
            &self.identity.kernel.require_current(context, permissions::ROLES_WRITE, &resource(id)).await?;
        context.require_step_up()?;
        let user = self
            .identity
            .transact(context, |tx| async move {
                let user: Stored<UserRecord> = self.load_for_change(&tx, context, id, precondition).await?;
                if user.roles == roles.0 {
                    return Ok::<_, UserError>(user);
                }
                self.require_grantable(&tx, context, &resource(id), &roles.0, &user.roles).await?;
                let changed = UserRecord { roles: roles.0.clone(), ..(*user).clone() };
                let event = user_event(actions::USER_ROLES_CHANGED, id)
                    .detail("roles_before", roles_text(&user))
                    .detail("roles", roles_text(&changed));
                tx.record(event);
                Ok(tx.replace_user(&user, &changed.touched(context.now)).await?)
            })
            .await?;
        Ok(roles_of(&user))
    }
}

impl Users<'_> {
    /// Requires that the actor may change a user's roles from `before` to `after`: the added roles exist, and
    /// the actor has `roles:write` and every permission of the roles that are added or removed.
    pub(crate) async fn require_grantable(
        &self,
        tx: &UserChanges,
        context: &Context,
        resource: &str,
        after: &[RoleName],
        before: &[RoleName],
    ) -> Result<(), UserError> {
        let authority = &self.identity.authority;
        let mut unknown = Vec::new();
        let mut touched = Permissions::NONE;
        for role in after.iter().filter(|role| !before.contains(role)) {
            match tx.get::<RoleRecord>(role.as_str()).await? {
                Some(record) => touched = touched.union(authority.permissions_in(&record)),
                None => unknown.push(role.clone()),
            }
        }
        if !unknown.is_empty() {
            return Err(UserError::UnknownRoles(unknown));
        }
        let removed: Vec<_> = before.iter().filter(|role| !after.contains(role)).cloned().collect();
        touched = touched.union(authority.permissions_of(&removed, context.now).await?);
        let changes = after.iter().any(|role| !before.contains(role)) || !removed.is_empty();
        if !changes {
            return Ok(());
        }
        let verdict = context.require(permissions::ROLES_WRITE).and_then(|()| context.require_all(&touched));
        Ok(tx.check(verdict, resource)?)
    }
}
