use switchyard_kernel::{CommonError, Context, Faults, Precondition, UserId, Versioned};

use super::{User, UserFields, UserRecord, Users};
use crate::UserError;
use crate::actions::{self, user_event};

impl Users<'_> {
    /// Changes the name and the address of a user to what `edit` returns: a constant for a PUT, a patch applied for a PATCH.
    /// Requires the user themselves, or `users:write` and every permission that the user has.
    ///
    /// A change of the address requires a step-up: the owner of the address can have a new password sent to it. The new address
    /// counts as not verified, and all sessions of the user end but the one that makes the change.
    pub async fn edit(
        &self,
        context: &Context,
        id: UserId,
        precondition: &Precondition,
        edit: impl Fn(&UserFields) -> Result<UserFields, Faults>,
    ) -> Result<Versioned<User>, UserError> {
        let context = &self.require_write(context, id, true).await?;
        let edit = &edit;
        let result = self
            .identity
            .transact(context, |tx| async move {
                let user = self.load_for_change(&tx, context, id, precondition).await?;
                let before = UserFields { email: user.email.clone(), name: user.name.clone() };
                let after = edit(&before)?;
                if after == before {
                    return Ok(user);
                }
                let mut event = user_event(actions::USER_CHANGED, id);
                for (field, changed) in
                    [("email", after.email != before.email), ("name", after.name != before.name)]
                {
                    if changed {
                        event = event.detail(field, "changed"); // the values are personal data, and can be erased
                    }
                }
                tx.record(event);
                let moves = after.email != before.email;
                if moves {
                    context.require_step_up()?;
                }
                let sessions = if moves { user.sessions_ended_by(context) } else { user.sessions.clone() };
                let changed = UserRecord {
                    sessions,
                    email_verified: user.email_verified && !moves,
                    email: after.email,
                    name: after.name,
                    ..(*user).clone()
                };
                Ok(tx.replace_user(&user, &changed.touched(context.now)).await?)
            })
            .await;
        match result {
            Ok(user) => self.show(context, &user).await,
            Err(UserError::Common(error)) if is_email_taken(&error) => Err(UserError::EmailTaken),
            Err(error) => Err(error),
        }
    }
}

/// Whether a write failed because another account has the address.
pub(crate) fn is_email_taken(error: &CommonError) -> bool {
    matches!(error, CommonError::Database(error) if error.taken_attribute() == Some("email"))
}
