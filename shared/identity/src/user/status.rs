use switchyard_database::{Error as DatabaseError, Stored};

use super::record::tagged;
use super::service::resource;
use super::{User, UserRecord, Users};
use crate::audit::{Action, AuditEvent};
use crate::password::Attempts;
use crate::role::{RoleRecord, is_built_in};
use crate::work::Work;
use crate::{Context, Permission, Precondition, Refused, RoleName, Tagged, UserError, UserId, rfc3339};

impl Users<'_> {
    /// Shuts a user out: nobody signs in or refreshes a session any more. Needs `users:write`. A user who is shut out
    /// already stays as they are.
    pub async fn disable(&self, context: &Context, id: UserId) -> Result<Tagged<User>, UserError> {
        self.set_disabled(context, id, true).await
    }

    /// Lets a user in again; old sessions stay ended. Needs `users:write`.
    pub async fn enable(&self, context: &Context, id: UserId) -> Result<Tagged<User>, UserError> {
        self.set_disabled(context, id, false).await
    }

    async fn set_disabled(
        &self,
        context: &Context,
        id: UserId,
        disabled: bool,
    ) -> Result<Tagged<User>, UserError> {
        let context = &self.require_write(context, id, false).await?;
        let result = self
            .0
            .transact(context, |work| async move {
                let user = self.subject::<UserError>(&work, context, id, Precondition::NONE).await?;
                if user.disabled == disabled {
                    return Ok::<_, UserError>(user);
                }
                let action = if disabled { Action::USER_DISABLED } else { Action::USER_ENABLED };
                work.record(AuditEvent::of_user(action, id));
                let session_epoch = user.session_epoch + i64::from(disabled);
                let changed = UserRecord { disabled, session_epoch, ..(*user).clone() };
                Ok(work.replace_user(&user, &changed.touched(context.now)).await?)
            })
            .await;
        let user = self.0.note(context, &resource(id), result).await?;
        Ok(tagged(&user, context.now))
    }

    /// Lifts the lock that too many failures brought on. Needs `users:write`, and is for others to do: somebody with a stolen
    /// token could guess on with it for ever.
    pub async fn unlock(&self, context: &Context, id: UserId) -> Result<Tagged<User>, UserError> {
        let context = &self.require_write(context, id, false).await?;
        let verdict = if context.is_user(id) { Err(Refused::Forbidden) } else { Ok(()) };
        self.0.judge(context, verdict, &resource(id)).await?;
        let result = self
            .0
            .transact(context, |work| async move {
                let user = self.subject::<UserError>(&work, context, id, Precondition::NONE).await?;
                Attempts::forget(&work.tx, &self.0.attempts_id(&user.email)).await?;
                work.record(AuditEvent::of_user(Action::USER_UNLOCKED, id));
                if user.locked_until.is_none() {
                    return Ok::<_, UserError>(user);
                }
                let changed = UserRecord { locked_until: None, ..(*user).clone() };
                Ok(work.replace_user(&user, &changed).await?)
            })
            .await;
        let user = self.0.note(context, &resource(id), result).await?;
        Ok(tagged(&user, context.now))
    }

    /// Deletes a user so that they can be restored: gone from reads, lists and sign-ins, their sessions ended, their
    /// address still taken. For the user, and for who has `users:write`.
    pub async fn delete(
        &self,
        context: &Context,
        id: UserId,
        precondition: Precondition<'_>,
    ) -> Result<(), UserError> {
        let context = &self.require_write(context, id, true).await?;
        let result = self
            .0
            .transact(context, |work| async move {
                let user = self.subject::<UserError>(&work, context, id, precondition).await?;
                let changed = UserRecord {
                    deleted_at: Some(rfc3339::to_millisecond(context.now)),
                    session_epoch: user.session_epoch + 1,
                    ..(*user).clone()
                };
                work.record(AuditEvent::of_user(Action::USER_DELETED, id));
                work.replace_user(&user, &changed.touched(context.now)).await?;
                Ok::<_, UserError>(())
            })
            .await;
        self.0.note(context, &resource(id), result).await
    }

    /// Restores a deleted user, disabled if they were, with those of their roles that there still are. Needs
    /// `users:write`. A user who is not deleted stays as they are.
    pub async fn restore(&self, context: &Context, id: UserId) -> Result<Tagged<User>, UserError> {
        let context = &self.0.require_still(context, Permission::UsersWrite, &resource(id)).await?;
        let result = self
            .0
            .transact(context, |work| async move {
                let user: Stored<UserRecord> =
                    work.tx.get(id.as_str()).await?.ok_or(UserError::Refused(Refused::NotFound))?;
                self.require_rank(context, &user).await?;
                if !user.deleted {
                    return Ok::<_, UserError>(user);
                }
                let roles = roles_that_are_left(&work, &user.roles).await?;
                let changed = UserRecord { deleted_at: None, roles, ..(*user).clone() };
                work.record(AuditEvent::of_user(Action::USER_RESTORED, id));
                Ok(work.replace_user(&user, &changed.touched(context.now)).await?)
            })
            .await;
        let user = self.0.note(context, &resource(id), result).await?;
        Ok(tagged(&user, context.now))
    }
}

/// A role can be deleted while only deleted users have it.
async fn roles_that_are_left(work: &Work, roles: &[RoleName]) -> Result<Vec<RoleName>, DatabaseError> {
    let mut left = Vec::new();
    for role in roles {
        if is_built_in(role) || work.tx.get::<RoleRecord>(role.as_str()).await?.is_some() {
            left.push(role.clone());
        }
    }
    Ok(if left.is_empty() { super::roles::default_roles() } else { left })
}
