use crate::actions;
use switchyard_ambient::Uuid;
use switchyard_database::Stored;
use switchyard_kernel::{Action, AuditEvent, Context, Outcome, UserId};

use super::{Accounts, Credential};
use crate::password::{Attempts, Guessed, Reservation, Turn};
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
    /// Every guess takes the same steps, whether or not the user exists and has a password: it looks up the user, reads the
    /// earlier guesses and a hash, waits for its turn, is counted, computes a hash, and records a failure.
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
        let db = self.identity.db();
        let user = db.collection::<UserRecord>().lookup("email", email.key()).await?;
        let user = user.filter(|user| !user.deleted);
        let guessed = match &user {
            Some(user) => Guessed::Account { id: user.id, created_at: user.created_at },
            None => self.identity.guessed_address(email),
        };
        let (attempts_id, credential_id) = (guessed.id(), user.as_ref().map_or_else(nobody, |user| user.id));
        let (attempts, credentials) = (db.collection::<Attempts>(), db.collection::<Credential>());
        let (attempts, credential) =
            tokio::try_join!(attempts.get(&attempts_id), credentials.get(credential_id.as_str()))?;
        // A locked account is refused before the queue, so that guesses at it delay no one. Other guesses are
        // counted after the queue, so that requests whose clients gave up waiting lock no one out.
        if let Some(retry_after) = attempts.as_ref().and_then(|attempts| attempts.locked_for(context.now)) {
            return Err(AccountError::AccountLocked { retry_after });
        }
        let turn = self.identity.hasher.turn().await?;
        let locks = match Attempts::reserve(db, &guessed, attempts, context.now).await? {
            Reservation::Granted { locks } => locks,
            Reservation::Locked { retry_after } => return Err(AccountError::AccountLocked { retry_after }),
        };
        let stored = credential.as_ref().map(|credential| &credential.password);
        let (verdict, turn) = self.identity.hasher.verify(turn, password.expose(), stored).await?;
        match (user, stored) {
            (Some(user), Some(verified)) if verdict.is_right => {
                Ok((RightGuess { user, verified: verified.clone(), upgrade: verdict.upgrade }, turn))
            }
            _ => {
                drop(turn);
                self.record_failure(context, &attempts_id, action, locks).await?;
                Err(AccountError::InvalidCredentials)
            }
        }
    }

    /// Records a wrong guess at the password of `subject`, and whether it locked the account.
    async fn record_failure(
        &self,
        context: &Context,
        subject: &str,
        action: Action,
        locks: bool,
    ) -> Result<(), AccountError> {
        let mut events = vec![AuditEvent::new(action).subject(subject).outcome(Outcome::Failure)];
        if locks {
            events.push(AuditEvent::new(actions::ACCOUNT_LOCKED).subject(subject));
        }
        Ok(self.identity.kernel.record(context, &events).await?)
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
