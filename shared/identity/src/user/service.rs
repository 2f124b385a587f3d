use switchyard_database::{Error as DatabaseError, Stored};

use super::UserRecord;
use super::record::{tag_of, tagged};
use crate::core::Core;
use crate::work::Work;
use crate::{Context, Permission, Precondition, Refused, Tagged, User, UserError, UserId};

/// Users, as admins see them, and everybody themselves.
///
/// Who acts on another user must have every permission that this user has: otherwise somebody who may write users could
/// change an admin's address and have a new password sent to it.
#[derive(Clone, Copy, Debug)]
pub struct Users<'a>(pub(crate) &'a Core);

impl Users<'_> {
    /// A user. For the user, and for who has `users:read`.
    pub async fn get(&self, context: &Context, id: UserId) -> Result<Tagged<User>, UserError> {
        Ok(tagged(&self.require_visible(context, id).await?, context.now))
    }

    /// Goes on for those who may see a user's things: the user, and who has `users:read`. The user must exist.
    pub(crate) async fn require_visible(
        &self,
        context: &Context,
        id: UserId,
    ) -> Result<Stored<UserRecord>, UserError> {
        self.0.require_self_or(context, id, Permission::UsersRead).await?;
        let user = self.0.db.collection::<UserRecord>().get(id.as_str()).await?;
        Ok(user.filter(|user| !user.deleted).ok_or(Refused::NotFound)?)
    }

    /// Goes on for those who may act on the user `id`: the user where `themselves` is set, and who still has `users:write`.
    /// The answer is the context in which to go on.
    pub(crate) async fn require_write(
        &self,
        context: &Context,
        id: UserId,
        themselves: bool,
    ) -> Result<Context, UserError> {
        if themselves && context.is_user(id) {
            return Ok(context.clone());
        }
        let context = self.0.at_present(context).await?;
        let verdict = match context.require(Permission::UsersWrite) {
            // Who may not see users learns nothing of this one.
            Err(Refused::Forbidden) if !context.may(Permission::UsersRead) && themselves => {
                Err(Refused::NotFound)
            }
            verdict => verdict,
        };
        self.0.judge(&context, verdict, &resource(id)).await?;
        Ok(context)
    }

    /// The user `id`, to be changed: not deleted, in the state that the change is meant for, and with no permission that
    /// the actor lacks.
    pub(crate) async fn subject<E>(
        &self,
        work: &Work,
        context: &Context,
        id: UserId,
        precondition: Precondition<'_>,
    ) -> Result<Stored<UserRecord>, E>
    where
        E: From<DatabaseError> + From<UserError>,
    {
        let user = work.tx.get::<UserRecord>(id.as_str()).await?;
        let user = user.filter(|user| !user.deleted).ok_or(UserError::Refused(Refused::NotFound))?;
        self.require_rank(context, &user).await?;
        if !precondition.holds(&tag_of(&user, context.now)) {
            return Err(UserError::PreconditionFailed.into());
        }
        Ok(user)
    }

    /// Goes on for the user and for actors with every permission that the user has.
    pub(crate) async fn require_rank(&self, context: &Context, user: &UserRecord) -> Result<(), UserError> {
        if context.is_user(user.id) {
            return Ok(());
        }
        let theirs = self.0.permissions_of(&user.roles, context.now).await?;
        if context.permissions().covers(theirs) { Ok(()) } else { Err(Refused::Forbidden.into()) }
    }
}

pub(crate) fn resource(id: UserId) -> String {
    format!("users/{id}")
}
