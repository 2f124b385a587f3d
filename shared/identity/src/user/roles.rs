use deserr::{DeserializeError, Deserr, ErrorKind, IntoValue, ValuePointerRef, take_cf_content};
use serde::Serialize;
use switchyard_database::Stored;
use utoipa::ToSchema;

use super::create::roles_text;
use super::record::tagged;
use super::service::resource;
use super::{User, UserRecord, Users};
use crate::audit::{Action, AuditEvent};
use crate::core::Core;
use crate::role::{CUSTOMER, RoleRecord};
use crate::work::Work;
use crate::{Context, Permission, Permissions, Precondition, Refused, RoleName, Tagged, UserError, UserId};

/// The roles of a user: 1 to 20 different ones, the first of them the one that is shown as `role`.
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

impl Users<'_> {
    /// A user's roles. For the user, and for who has `users:read`.
    pub async fn roles(&self, context: &Context, id: UserId) -> Result<Tagged<Vec<RoleName>>, UserError> {
        let Tagged { value, tag } = self.get(context, id).await?;
        Ok(Tagged { value: value.roles, tag })
    }

    /// Gives a user other roles. Needs `roles:write`, a step-up, every permission that the user has, and every permission
    /// of the roles that are given or taken.
    pub async fn set_roles(
        &self,
        context: &Context,
        id: UserId,
        roles: &RoleList,
        precondition: Precondition<'_>,
    ) -> Result<Tagged<User>, UserError> {
        let context = &self.0.require_still(context, Permission::RolesWrite, &resource(id)).await?;
        context.require_step_up()?;
        let result = self
            .0
            .transact(context, |work| async move {
                let user: Stored<UserRecord> =
                    self.subject::<UserError>(&work, context, id, precondition).await?;
                if user.roles == roles.0 {
                    return Ok::<_, UserError>(user);
                }
                require_grantable(&work, self.0, context, &roles.0, &user.roles).await?;
                let changed = UserRecord { roles: roles.0.clone(), ..(*user).clone() };
                let event = AuditEvent::of_user(Action::USER_ROLES_CHANGED, id)
                    .detail("roles_before", roles_text(&user))
                    .detail("roles", roles_text(&changed));
                work.record(event);
                Ok(work.replace_user(&user, &changed.touched(context.now)).await?)
            })
            .await;
        let user = self.0.note(context, &resource(id), result).await?;
        Ok(tagged(&user, context.now))
    }
}

/// Goes on when roles can be changed from `before` to `after`: those that come exist, and the actor may give them and has
/// every permission of those that come or go.
pub(crate) async fn require_grantable(
    work: &Work,
    core: &Core,
    context: &Context,
    after: &[RoleName],
    before: &[RoleName],
) -> Result<(), UserError> {
    let mut unknown = Vec::new();
    let mut touched = Permissions::NONE;
    for role in after.iter().filter(|role| !before.contains(role)) {
        match work.tx.get::<RoleRecord>(role.as_str()).await? {
            Some(record) => touched = touched.union(record.effective_permissions()),
            None => unknown.push(role.clone()),
        }
    }
    if !unknown.is_empty() {
        return Err(UserError::UnknownRoles(unknown));
    }
    let going: Vec<_> = before.iter().filter(|role| !after.contains(role)).cloned().collect();
    touched = touched.union(core.permissions_of(&going, context.now).await?);
    let changes = after.iter().any(|role| !before.contains(role)) || !going.is_empty();
    if changes && !(context.may(Permission::RolesWrite) && context.permissions().covers(touched)) {
        return Err(Refused::Forbidden.into());
    }
    Ok(())
}
