use crate::permissions;
use switchyard_database::Stored;
use switchyard_kernel::{Actor, Context, Precondition, Refused, UserId, Versioned};

use super::UserRecord;
use crate::components::Components;
use crate::password::Attempts;
use crate::user_changes::UserChanges;
use crate::{EmailAddress, User, UserError};

/// Users: their own view, and that of admins.
///
/// To act on another user, the caller needs every permission that this user has. Otherwise someone with `users:write` could
/// change an admin's address and have a new password sent to it.
#[derive(Clone, Copy, Debug)]
pub struct Users<'a> {
    pub(crate) identity: &'a Components,
}

impl Users<'_> {
    /// A user. Requires the user themselves, or `users:read`.
    pub async fn get(&self, context: &Context, id: UserId) -> Result<Versioned<User>, UserError> {
        let kernel = &self.identity.kernel;
        kernel.require_owner_or(context, id, permissions::USERS_READ, &resource(id)).await?;
        let db = self.identity.db();
        let (users, attempts) = (db.collection::<UserRecord>(), db.collection::<Attempts>());
        let (user, attempts) = tokio::try_join!(users.get(id.as_str()), attempts.get(id.as_str()))?;
        let user = user.filter(|user| !user.deleted).ok_or(Refused::NotFound)?;
        Ok(User::of(&user, attempts.as_deref(), context.now).versioned(&user))
    }

    /// A user who was read or written, with what is known of the attempts to sign in as them.
    pub(crate) async fn show(
        &self,
        context: &Context,
        user: &UserRecord,
    ) -> Result<Versioned<User>, UserError> {
        let attempts = self.identity.db().collection::<Attempts>().get(user.id.as_str()).await?;
        Ok(User::of(user, attempts.as_deref(), context.now).versioned(user))
    }

    /// The id of the user with this address. Requires `users:read`.
    pub async fn id_of(&self, context: &Context, email: &EmailAddress) -> Result<UserId, UserError> {
        self.identity.kernel.require(context, permissions::USERS_READ, "users").await?;
        let user = self.identity.db().collection::<UserRecord>().lookup("email", email.key()).await?;
        Ok(user.filter(|user| !user.deleted).ok_or(Refused::NotFound)?.id)
    }

    /// A user, for someone who may see them. Requires the user themselves, or `users:read`.
    pub(crate) async fn require_visible(
        &self,
        context: &Context,
        id: UserId,
    ) -> Result<Stored<UserRecord>, UserError> {
        let kernel = &self.identity.kernel;
        kernel.require_owner_or(context, id, permissions::USERS_READ, &resource(id)).await?;
        let user = self.identity.db().collection::<UserRecord>().get(id.as_str()).await?;
        Ok(user.filter(|user| !user.deleted).ok_or(Refused::NotFound)?)
    }

    /// The user that an earlier run of the same request created or changed, as they are now.
    pub(crate) async fn present(&self, context: &Context, id: UserId) -> Result<Versioned<User>, UserError> {
        let user = self.identity.db().collection::<UserRecord>().get(id.as_str()).await?;
        let user = user.filter(|user| !user.deleted).ok_or(Refused::NotFound)?;
        self.show(context, &user).await
    }

    /// Requires that the actor may change the user `id`: with `users:write` now, or as the user themselves if
    /// `by_themselves`. Returns the context with the actor's current permissions.
    pub(crate) async fn require_write(
        &self,
        context: &Context,
        id: UserId,
        by_themselves: bool,
    ) -> Result<Context, UserError> {
        if by_themselves && context.is_user(id) {
            return Ok(context.clone());
        }
        let context = self.identity.kernel.with_current_permissions(context).await?;
        let verdict = if by_themselves {
            context.require_write(permissions::USERS_WRITE, permissions::USERS_READ)
        } else {
            context.require(permissions::USERS_WRITE)
        };
        self.identity.kernel.check(&context, verdict, &resource(id)).await?;
        Ok(context)
    }

    /// Loads the user `id` for a change. Requires that the user is not deleted, is in the state that the change applies to,
    /// and has no permission that the actor lacks.
    pub(crate) async fn load_for_change(
        &self,
        tx: &UserChanges,
        context: &Context,
        id: UserId,
        precondition: &Precondition,
    ) -> Result<Stored<UserRecord>, UserError> {
        let user = tx.get::<UserRecord>(id.as_str()).await?;
        let user = user.filter(|user| !user.deleted).ok_or(Refused::NotFound)?;
        self.require_covers(tx, context, &user).await?;
        precondition.check(&user.tag())?;
        Ok(user)
    }

    /// Requires that the actor is the user, in a session that has not ended, or has every permission that the user has.
    pub(crate) async fn require_covers(
        &self,
        tx: &UserChanges,
        context: &Context,
        user: &UserRecord,
    ) -> Result<(), UserError> {
        if let Actor::User(principal) = &context.actor
            && principal.user_id == user.id
        {
            let is_live = user.has_live_session(principal);
            return if is_live { Ok(()) } else { Err(Refused::Unauthenticated.into()) };
        }
        let theirs = self.identity.authority.permissions_of(&user.roles, context.now).await?;
        Ok(tx.check(context.require_all(&theirs), resource(user.id))?)
    }
}

pub(crate) fn resource(id: UserId) -> String {
    format!("users/{id}")
}
