use std::time::Duration;

use crate::actions;
use switchyard_ambient::Uuid;
use switchyard_database::{Error as DatabaseError, Stored};
use switchyard_kernel::{Action, AuditEvent, Context, Outcome, UserId};

use super::{Accounts, Credential};
use crate::password::{Attempts, Guessed, Reservation, Share, Turn};
use crate::user::UserRecord;
use crate::user_changes::UserChanges;
use crate::{AccountError, EmailAddress, PasswordHash, Secret};

/// A guess at a password.
pub(super) struct Guess<'a> {
    /// The address of the account.
    pub(super) email: &'a EmailAddress,
    /// The password.
    pub(super) password: &'a Secret,
    /// The token of the device that the guess comes from.
    pub(super) device_token: Option<&'a Secret>,
    /// The share of the turns that the caller has without a known device.
    pub(super) share: Share,
    /// What the password is needed for.
    pub(super) action: Action,
}

/// A password that was verified.
pub(super) struct RightGuess {
    /// What the guess stays counted for until the caller resets it.
    pub(super) guessed: Guessed,
    /// The count with this guess.
    pub(super) attempts: Stored<Attempts>,
    pub(super) user: Stored<UserRecord>,
    /// The credential whose hash matched. A caller that acts on the guess must check that this hash is still the stored
    /// one.
    credential: Stored<Credential>,
    /// The hash to store instead, if the stored one is of an older scheme.
    pub(super) upgrade: Option<PasswordHash>,
}

impl RightGuess {
    /// Lets a transaction that uses the guess begin with what was read for it.
    pub(super) fn assume_in(&self, tx: &UserChanges) {
        tx.assume(&self.user);
        tx.assume(&self.attempts);
    }

    /// Reads the credential as part of a transaction. Fails with [`AccountError::InvalidCredentials`] if its
    /// hash is no longer the one that was verified: the password was changed since, so the guess is no longer
    /// right.
    pub(super) async fn still_verified(&self, tx: &UserChanges) -> Result<Stored<Credential>, AccountError> {
        tx.assume(&self.credential);
        let credential = tx.get::<Credential>(self.user.id.as_str()).await?;
        credential
            .filter(|credential| credential.password == self.credential.password)
            .ok_or(AccountError::InvalidCredentials)
    }
}

impl Accounts<'_> {
    /// Verifies a password for the account with this address.
    ///
    /// Every guess takes the same steps, whether or not the user exists and has a password: it looks up the user, reads the
    /// earlier guesses and a hash, waits for its turn, is counted, computes a hash, and records a failure.
    ///
    /// A guess with a valid device token is counted for the device instead of the account, and a lock of the account does not
    /// concern it. It has its own share of the turns, as has that of a caller who is signed in. After too many wrong guesses
    /// the device is unknown for a while, and its guesses are like those of anyone. Any other token is ignored.
    ///
    /// If the guess is right, it stays counted: the caller resets the count in the transaction that uses the
    /// guess. To make that happen soon, the caller also gets the turn, for further hashing.
    pub(super) async fn guess(
        &self,
        context: &Context,
        guess: &Guess<'_>,
    ) -> Result<(RightGuess, Turn), AccountError> {
        let &Guess { email, password, device_token, share, action } = guess;
        let db = self.identity.db();
        let user = db.collection::<UserRecord>().lookup("email", email.key()).await?;
        let user = user.filter(|user| !user.deleted);
        let account = match &user {
            Some(user) => Guessed::Account { id: user.id, created_at: user.created_at },
            None => self.identity.guessed_address(email)?,
        };
        let mut guessed =
            self.known_device(user.as_deref(), device_token)?.unwrap_or_else(|| account.clone());
        let (attempts_id, credential_id) = (guessed.id(), user.as_ref().map_or_else(nobody, |user| user.id));
        let (attempts, credentials) = (db.collection::<Attempts>(), db.collection::<Credential>());
        let (mut known, credential) =
            tokio::try_join!(attempts.get(&attempts_id), credentials.get(credential_id.as_str()))?;
        let mut lock = known.as_ref().and_then(|attempts| attempts.locked_for(context.now));
        if lock.is_some() && guessed.device().is_some() {
            guessed = account.clone();
            known = attempts.get(&guessed.id()).await?;
            lock = known.as_ref().and_then(|attempts| attempts.locked_for(context.now));
        }
        // A locked account is refused before the queue, so that guesses at it delay no one. Other guesses are
        // counted after the queue, so that requests whose clients gave up waiting lock no one out.
        if let Some(retry_after) = lock {
            return Err(self.refuse_locked(context, &guessed, action, retry_after).await);
        }
        let share = if guessed.device().is_some() { Share::Known } else { share };
        let turn = self.identity.hasher.turn(share).await?;
        let mut reservation = Attempts::reserve(db, &guessed, known, context.now).await?;
        if matches!(reservation, Reservation::Locked { .. }) && guessed.device().is_some() {
            // Other guesses from the device came first.
            guessed = account;
            reservation = Attempts::reserve(db, &guessed, None, context.now).await?;
        }
        let attempts = match reservation {
            Reservation::Granted(attempts) => *attempts,
            Reservation::Locked { retry_after } => {
                return Err(self.refuse_locked(context, &guessed, action, retry_after).await);
            }
        };
        let stored = credential.as_ref().map(|credential| &credential.password);
        let (verdict, turn) = self.identity.hasher.verify(turn, password.expose(), stored).await?;
        match (user, credential) {
            (Some(user), Some(credential)) if verdict.is_right => {
                let upgrade = verdict.upgrade;
                Ok((RightGuess { guessed, attempts, user, credential, upgrade }, turn))
            }
            _ => {
                drop(turn);
                self.record_failure(context, &guessed, action, attempts.is_locked()).await?;
                Err(AccountError::InvalidCredentials)
            }
        }
    }

    /// What a guess with this device token is counted for, if it is a valid token of the user.
    fn known_device(
        &self,
        user: Option<&UserRecord>,
        device_token: Option<&Secret>,
    ) -> Result<Option<Guessed>, DatabaseError> {
        let keys = self.identity.device_keys()?;
        let session = device_token.and_then(|token| keys.session_of(token.expose(), user));
        let known = user.zip(session);
        Ok(known.map(|(user, session)| Guessed::FromDevice { id: user.id, session, unlocks: user.unlocks }))
    }

    /// Notes a guess that is refused unseen because the account is locked. Anyone can repeat it as fast as they like, so only
    /// the first from an address in a while has an entry.
    async fn refuse_locked(
        &self,
        context: &Context,
        guessed: &Guessed,
        action: Action,
        retry_after: Duration,
    ) -> AccountError {
        let event = AuditEvent::new(action).outcome(Outcome::Failure).subject(guessed.subject());
        self.identity.kernel.note(context, &event.detail("refused", "locked")).await;
        AccountError::AccountLocked { retry_after }
    }

    /// Records a wrong guess, and whether it locked the account or the device.
    async fn record_failure(
        &self,
        context: &Context,
        guessed: &Guessed,
        action: Action,
        locks: bool,
    ) -> Result<(), AccountError> {
        let locked =
            if guessed.device().is_some() { actions::DEVICE_LOCKED } else { actions::ACCOUNT_LOCKED };
        let failed = AuditEvent::new(action).outcome(Outcome::Failure);
        let events = std::iter::once(failed).chain(locks.then(|| AuditEvent::new(locked)));
        let events: Vec<_> = events
            .map(|event| match guessed.device() {
                Some(session) => event.subject(guessed.subject()).detail("device", session),
                None => event.subject(guessed.subject()),
            })
            .collect();
        Ok(self.identity.kernel.record(context, &events).await?)
    }
}

/// An id under which no credential is stored. Reading it takes as long as reading an existing one.
fn nobody() -> UserId {
    Uuid::nil().into()
}
