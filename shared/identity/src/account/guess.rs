use crate::actions;
use switchyard_ambient::{Timestamp, Uuid};
use switchyard_database::Stored;
use switchyard_kernel::{Action, AuditEvent, Context, Outcome, UserId};

use super::{Accounts, Credential};
use crate::password::{Attempts, Reservation, Turn};
use crate::user::UserRecord;
use crate::user_changes::UserChanges;
use crate::{AccountError, EmailAddress, PasswordHash, Secret};

/// A password that was verified.
pub(super) struct RightGuess {
    pub(super) user: Stored<UserRecord>,
    /// The hash that it was held against. Whoever acts on the guess checks that it still is the one that is stored.
    pub(super) verified: PasswordHash,
    /// What to store instead, where that is of an older kind.
    pub(super) upgrade: Option<PasswordHash>,
}

impl Accounts<'_> {
    /// Holds a password against the account that has an address.
    ///
    /// Every guess takes the same way: it waits for its turn, is counted, the user is looked for, a hash is read, a hash
    /// is computed, and a failure is recorded, whether or not there is such a user, and whether or not they have a
    /// password.
    ///
    /// The count of guesses is left as it is when the guess is right: the caller takes it back in the transaction that
    /// makes use of it. So that this is soon, the caller also gets the turn, for what else has to be hashed.
    pub(super) async fn guess(
        &self,
        context: &Context,
        email: &EmailAddress,
        password: &Secret,
        action: Action,
    ) -> Result<(RightGuess, Turn), AccountError> {
        let attempts_id = self.identity.attempts_id(email);
        // Before it queues, so that guessing at a locked account keeps nobody waiting; and counted after it has queued, so
        // that nobody is locked out who lost patience.
        if let Some(retry_after) = Attempts::lock(self.identity.db(), &attempts_id, context.now).await? {
            return Err(AccountError::AccountLocked { retry_after });
        }
        let turn = self.identity.hasher.turn().await?;
        let locks_until = match Attempts::reserve(self.identity.db(), &attempts_id, context.now).await? {
            Reservation::Granted { locks_until } => locks_until,
            Reservation::Locked { retry_after } => return Err(AccountError::AccountLocked { retry_after }),
        };
        let user = self.identity.db().collection::<UserRecord>().lookup("email", email.key()).await?;
        let user = user.filter(|user| !user.deleted);
        let credential_id = user.as_ref().map_or_else(nobody, |user| user.id);
        let credential = self.identity.db().collection::<Credential>().get(credential_id.as_str()).await?;
        let stored = credential.as_ref().map(|credential| &credential.password);
        let (verdict, turn) = self.identity.hasher.verify(turn, password.expose(), stored).await?;
        match (user, stored) {
            (Some(user), Some(verified)) if verdict.is_right => {
                Ok((RightGuess { user, verified: verified.clone(), upgrade: verdict.upgrade }, turn))
            }
            (user, _) => {
                drop(turn);
                let subject =
                    user.map_or_else(|| format!("address:{attempts_id}"), |user| user.id.to_string());
                self.record_failure(context, &subject, credential_id, action, locks_until).await?;
                Err(AccountError::InvalidCredentials)
            }
        }
    }

    /// Records a wrong guess, and on the user that it was the one too many.
    async fn record_failure(
        &self,
        context: &Context,
        subject: &str,
        user_id: UserId,
        action: Action,
        locked_until: Option<Timestamp>,
    ) -> Result<(), AccountError> {
        self.identity
            .transact(context, |tx| async move {
                tx.record(AuditEvent::new(action).subject(subject).outcome(Outcome::Failure));
                if locked_until.is_some() {
                    tx.record(AuditEvent::new(actions::ACCOUNT_LOCKED).subject(subject));
                    if let Some(user) = tx.get::<UserRecord>(user_id.as_str()).await? {
                        let changed = UserRecord { locked_until, ..(*user).clone() };
                        tx.replace_user(&user, &changed).await?;
                    }
                }
                Ok::<_, AccountError>(())
            })
            .await
    }

    /// The stored hash, as part of a transaction, if it still is the one that a guess was held against. Otherwise the
    /// password was changed since, and the guess counts for nothing.
    pub(super) async fn still_verified(
        tx: &UserChanges,
        id: UserId,
        verified: &PasswordHash,
    ) -> Result<Stored<Credential>, AccountError> {
        let credential = tx.get::<Credential>(id.as_str()).await?;
        credential
            .filter(|credential| credential.password == *verified)
            .ok_or(AccountError::InvalidCredentials)
    }
}

/// Under this id no credential is stored. Reading it takes as long as reading somebody's.
fn nobody() -> UserId {
    Uuid::nil().into()
}
