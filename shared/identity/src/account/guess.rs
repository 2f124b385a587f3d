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
    /// The hash that matched. A caller that acts on the guess must check that this hash is still the stored
    /// one.
    pub(super) verified: PasswordHash,
    /// The hash to store instead, if the stored one is of an older scheme.
    pub(super) upgrade: Option<PasswordHash>,
}

impl Accounts<'_> {
    /// Verifies a password for the account with this address.
    ///
    /// Every guess takes the same steps, whether or not the user exists and has a password: it waits for its
    /// turn, is counted, looks up the user, reads a hash, computes a hash, and records a failure.
    ///
    /// If the guess is right, it stays counted: the caller resets the count in the transaction that uses the
    /// guess. To make that happen soon, the caller also gets the turn, for further hashing.
    pub(super) async fn guess(
        &self,
        context: &Context,
        email: &EmailAddress,
        password: &Secret,
        action: Action,
    ) -> Result<(RightGuess, Turn), AccountError> {
        let attempts_id = self.identity.attempts_id(email);
        // A locked account is refused before the queue, so that guesses at it delay no one. Other guesses are
        // counted after the queue, so that requests whose clients gave up waiting lock no one out.
        if let Some(retry_after) =
            Attempts::remaining_lock(self.identity.db(), &attempts_id, context.now).await?
        {
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

    /// Records a wrong guess. If it locked the account, marks the user as locked.
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

    /// Reads the credential as part of a transaction. Fails with [`AccountError::InvalidCredentials`] if its
    /// hash is no longer the one that was verified: the password was changed since, so the guess is no longer
    /// right.
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

/// An id under which no credential is stored. Reading it takes as long as reading an existing one.
fn nobody() -> UserId {
    Uuid::nil().into()
}
