use crate::actions::{self, user_event};
use crate::permissions;
use deserr::Deserr;
use switchyard_kernel::{Context, Refused, UserId, Versioned};
use utoipa::ToSchema;

use super::change::is_email_taken;
use super::roles::{default_roles, roles_text};
use super::{RoleList, User, UserRecord, Users};
use crate::{EmailAddress, PersonName, UserError};

/// A user whose account an admin creates.
#[derive(Clone, Debug, PartialEq, Eq, Deserr, ToSchema)]
#[deserr(deny_unknown_fields)]
pub struct NewUser {
    /// The e-mail address.
    pub email: EmailAddress,
    /// The name.
    pub name: PersonName,
    /// The roles; `customer` if left out.
    #[deserr(default)]
    pub roles: Option<RoleList>,
}

impl Users<'_> {
    /// Creates a user without a password, who cannot sign in before they have set one. Requires `users:write`,
    /// and for other roles than `customer` also `roles:write` and every permission of these roles.
    pub async fn create(&self, context: &Context, new: &NewUser) -> Result<Versioned<User>, UserError> {
        let context =
            &self.identity.kernel.require_current(context, permissions::USERS_WRITE, "users").await?;
        if let Some(effect) = context.earlier_effect() {
            return self.present(context, effect.subject_id().ok_or(Refused::NotFound)?).await;
        }
        let id = UserId::from(self.identity.kernel.ambient().uuid_v7());
        let roles = new.roles.as_ref().map_or_else(default_roles, |roles| roles.names().to_vec());
        let user = UserRecord::new(id, new.email.clone(), new.name.clone(), roles, false, context.now);
        let user = &user;
        let result = self
            .identity
            .transact(context, |tx| async move {
                if new.roles.is_some() {
                    self.require_grantable(&tx, context, "users", &user.roles, &default_roles()).await?;
                }
                tx.record(user_event(actions::USER_CREATED, id).detail("roles", roles_text(user)));
                Ok::<_, UserError>(tx.insert_user(user)?)
            })
            .await;
        match result {
            Ok(user) => Ok(User::of(&user, None, context.now).versioned(&user)),
            Err(UserError::Common(error)) if is_email_taken(&error) => Err(UserError::EmailTaken),
            Err(error) => Err(error),
        }
    }
}
