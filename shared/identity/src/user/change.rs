use switchyard_database::{Error as DatabaseError, Stored};

use super::record::tagged;
use super::service::resource;
use super::{User, UserFields, UserRecord, Users};
use crate::audit::{Action, AuditEvent};
use crate::password::Attempts;
use crate::{Context, EditError, Precondition, Tagged, UserError, UserId};

impl Users<'_> {
    /// Changes a user's name and address to what `edit` makes of them: a constant for a PUT, a patch applied for a PATCH.
    /// For the user, and for who has `users:write`. An address that changes counts as not verified.
    pub async fn edit<E>(
        &self,
        context: &Context,
        id: UserId,
        precondition: Precondition<'_>,
        edit: impl Fn(&UserFields) -> Result<UserFields, E>,
    ) -> Result<Tagged<User>, EditError<UserError, E>> {
        let context = &self.require_write(context, id, true).await?;
        let edit = &edit;
        let result = self
            .0
            .transact(context, |work| async move {
                let user: Stored<UserRecord> =
                    self.subject::<EditError<UserError, E>>(&work, context, id, precondition).await?;
                let before = UserFields { email: user.email.clone(), name: user.name.clone() };
                let after = edit(&before).map_err(EditError::Edit)?;
                if after == before {
                    return Ok(user);
                }
                let mut event = AuditEvent::of_user(Action::USER_CHANGED, id);
                for (field, changed) in
                    [("email", after.email != before.email), ("name", after.name != before.name)]
                {
                    if changed {
                        event = event.detail(field, "changed"); // the values are the user's, and can be erased
                    }
                }
                work.record(event);
                if after.email.key() != before.email.key() {
                    let ids = [&before.email, &after.email].map(|email| self.0.attempts_id(email));
                    Attempts::carry(&work.tx, &ids[0], &ids[1], context.now).await?;
                }
                let changed = UserRecord {
                    email_verified: user.email_verified && after.email == before.email,
                    email: after.email,
                    name: after.name,
                    ..(*user).clone()
                };
                Ok(work.replace_user(&user, &changed.touched(context.now)).await?)
            })
            .await;
        match self.0.note(context, &resource(id), result).await {
            Ok(user) => Ok(tagged(&user, context.now)),
            Err(EditError::Service(UserError::Database(error))) if is_email_taken(&error) => {
                Err(UserError::EmailTaken.into())
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a write failed because another account has the address.
pub(crate) fn is_email_taken(error: &DatabaseError) -> bool {
    error.taken_attribute() == Some("email")
}
