use crate::actions::{self, user_event};
use crate::permissions;
use switchyard_database::{Error as DatabaseError, Stored};
use switchyard_kernel::{Context, Kernel, Precondition, Refused, RoleName, UserId, Versioned, rfc3339};

use super::service::resource;
use super::{User, UserRecord, Users};
use crate::UserError;
use crate::password::Attempts;
use crate::role::{RoleRecord, is_built_in};
use crate::user_changes::UserChanges;

impl Users<'_> {
    /// Disables a user: their sessions end, and they can no longer sign in. Requires `users:write` and every
    /// permission that the user has. Does nothing if the user is disabled.
    pub async fn disable(&self, context: &Context, id: UserId) -> Result<Versioned<User>, UserError> {
        self.set_disabled(context, id, true).await
    }

    /// Enables a user. Their old sessions stay ended. Requires `users:write` and every permission that the user
    /// has.
    pub async fn enable(&self, context: &Context, id: UserId) -> Result<Versioned<User>, UserError> {
        self.set_disabled(context, id, false).await
    }

    async fn set_disabled(
        &self,
        context: &Context,
        id: UserId,
        disabled: bool,
    ) -> Result<Versioned<User>, UserError> {
        let context = &self.require_write(context, id, false).await?;
        let user = self
            .identity
            .transact(context, |tx| async move {
                let user = self.load_for_change(&tx, context, id, &Precondition::None).await?;
                if user.disabled == disabled {
                    return Ok::<_, UserError>(user);
                }
                let action = if disabled { actions::USER_DISABLED } else { actions::USER_ENABLED };
                tx.record(user_event(action, id));
                let sessions = if disabled { user.sessions.all_ended() } else { user.sessions.clone() };
                let changed = UserRecord { disabled, sessions, ..(*user).clone() };
                Ok(tx.replace_user(&user, &changed.touched(context.now)).await?)
            })
            .await?;
        self.show(context, &user).await
    }

    /// Unlocks a user whom too many failures have locked, and their known devices. Requires `users:write` and every permission that the
    /// user has. Users cannot lift their own lock: someone with a stolen token could go on guessing the
    /// password forever.
    pub async fn unlock(&self, context: &Context, id: UserId) -> Result<Versioned<User>, UserError> {
        let context = &self.require_write(context, id, false).await?;
        let verdict = if context.is_user(id) { Err(Refused::Forbidden) } else { Ok(()) };
        self.identity.kernel.check(context, verdict, &resource(id)).await?;
        if context.earlier_effect().is_some() {
            return self.present(context, id).await; // a lock that came since then stays
        }
        let user = self
            .identity
            .transact(context, |tx| async move {
                let user = self.load_for_change(&tx, context, id, &Precondition::None).await?;
                Attempts::forget(&tx, id.as_str(), context.now).await?;
                tx.record(user_event(actions::USER_UNLOCKED, id));
                let changed = UserRecord { unlocks: user.unlocks + 1, ..(*user).clone() };
                Ok::<_, UserError>(tx.replace_user(&user, &changed).await?)
            })
            .await?;
        self.show(context, &user).await
    }

    /// Deletes a user, who can be restored later. A deleted user does not appear in reads and lists and cannot
    /// sign in, their sessions end, and their address stays taken. Requires the user themselves, or
    /// `users:write` and every permission that the user has.
    pub async fn delete(
        &self,
        context: &Context,
        id: UserId,
        precondition: &Precondition,
    ) -> Result<(), UserError> {
        let context = &self.require_write(context, id, true).await?;
        self.identity
            .transact(context, |tx| async move {
                let user = self.load_for_change(&tx, context, id, precondition).await?;
                let changed = UserRecord {
                    deleted_at: Some(rfc3339::to_millisecond(context.now)),
                    sessions: user.sessions.all_ended(),
                    ..(*user).clone()
                };
                tx.record(user_event(actions::USER_DELETED, id));
                tx.replace_user(&user, &changed.touched(context.now)).await?;
                Ok::<_, UserError>(())
            })
            .await
    }

    /// Restores a deleted user with those of their roles that still exist. A user who was disabled stays
    /// disabled. Requires `users:write` and every permission that the user has. Does nothing if the user is not
    /// deleted.
    pub async fn restore(&self, context: &Context, id: UserId) -> Result<Versioned<User>, UserError> {
        let context =
            &self.identity.kernel.require_current(context, permissions::USERS_WRITE, &resource(id)).await?;
        let user = self
            .identity
            .transact(context, |tx| async move {
                let user: Stored<UserRecord> = tx.get(id.as_str()).await?.ok_or(Refused::NotFound)?;
                self.require_covers(&tx, context, &user).await?;
                if !user.deleted {
                    return Ok::<_, UserError>(user);
                }
                let roles = remaining_roles(&tx, &self.identity.kernel, &user.roles).await?;
                let changed = UserRecord { deleted_at: None, roles, ..(*user).clone() };
                tx.record(user_event(actions::USER_RESTORED, id));
                Ok(tx.replace_user(&user, &changed.touched(context.now)).await?)
            })
            .await?;
        self.show(context, &user).await
    }
}

/// Those of `roles` that still exist. A role can be deleted while only deleted users have it.
async fn remaining_roles(
    tx: &UserChanges,
    kernel: &Kernel,
    roles: &[RoleName],
) -> Result<Vec<RoleName>, DatabaseError> {
    let mut left = Vec::new();
    for role in roles {
        if is_built_in(kernel, role) || tx.get::<RoleRecord>(role.as_str()).await?.is_some() {
            left.push(role.clone());
        }
    }
    Ok(if left.is_empty() { super::roles::default_roles() } else { left })
}
