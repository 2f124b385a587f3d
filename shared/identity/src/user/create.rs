use deserr::Deserr;
use utoipa::ToSchema;

use super::change::is_email_taken;
use super::record::tagged;
use super::roles::{default_roles, require_grantable};
use super::{RoleList, User, UserRecord, Users};
use crate::audit::{Action, AuditEvent};
use crate::{Context, EmailAddress, Permission, PersonName, Tagged, UserError, UserId};

/// Somebody for whom an admin makes an account.
#[derive(Clone, Debug, PartialEq, Eq, Deserr, ToSchema)]
#[deserr(deny_unknown_fields)]
pub struct NewUser {
    /// The e-mail address.
    pub email: EmailAddress,
    /// What they want to be called.
    pub name: PersonName,
    /// Their roles; `customer` when nothing is said.
    #[deserr(default)]
    pub roles: Option<RoleList>,
}

impl Users<'_> {
    /// Makes an account without a password: nobody can sign in to it until its owner has chosen one. Needs `users:write`,
    /// and for other roles than `customer` `roles:write` and every permission that they give.
    pub async fn create(&self, context: &Context, new: &NewUser) -> Result<Tagged<User>, UserError> {
        let context = &self.0.require_still(context, Permission::UsersWrite, "users").await?;
        let id = UserId::from(self.0.db.ambient().uuid_v7());
        let roles = new.roles.as_ref().map_or_else(default_roles, |roles| roles.names().to_vec());
        let user = UserRecord::new(id, new.email.clone(), new.name.clone(), roles, false, context.now);
        let user = &user;
        let result = self
            .0
            .transact(context, |work| async move {
                if new.roles.is_some() {
                    require_grantable(&work, self.0, context, &user.roles, &default_roles()).await?;
                }
                work.record(AuditEvent::of_user(Action::USER_CREATED, id).detail("roles", roles_text(user)));
                Ok::<_, UserError>(work.insert_user(user)?)
            })
            .await;
        match self.0.note(context, "users", result).await {
            Ok(user) => Ok(tagged(&user, context.now)),
            Err(UserError::Database(error)) if is_email_taken(&error) => Err(UserError::EmailTaken),
            Err(error) => Err(error),
        }
    }
}

/// The names of a user's roles, for the audit log.
pub(crate) fn roles_text(user: &UserRecord) -> String {
    user.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" ")
}
