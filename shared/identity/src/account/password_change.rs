use super::guess::Guess;
use super::{Accounts, Credential};
use crate::actions::{self, user_event};
use crate::password::{Attempts, Share};
use crate::user::UserRecord;
use crate::value::PreparedPassword;
use crate::{AccountError, Password, Secret};
use switchyard_kernel::{Context, Refused};

impl Accounts<'_> {
    /// Changes the caller's password and ends all of their other sessions. If the change was required, the session's next
    /// access token permits everything again.
    ///
    /// # Errors
    ///
    /// The same as [`login`](Self::login) for the current password, with and without a device token: someone with a stolen
    /// access token gets no more guesses at it than a stranger. [`Refused::Unauthenticated`] if the session has ended.
    /// [`AccountError::WeakPassword`] if the new password is easy to guess.
    pub async fn change_password(
        &self,
        context: &Context,
        current: &Secret,
        new: &Password,
        device_token: Option<&Secret>,
    ) -> Result<(), AccountError> {
        let principal = context.principal()?;
        if context.earlier_effect().is_some() {
            return Ok(()); // the password was changed, and the current one is no longer what the request names
        }
        let user = self.identity.db().collection::<UserRecord>().get(principal.user_id.as_str()).await?;
        let user = user.filter(|user| user.has_live_session(principal)).ok_or(Refused::Unauthenticated)?;
        // This comes first: a guess stays counted until it is used, and a weak new password must not lock the
        // account.
        if user.password_change_required && PreparedPassword::of(current.expose()) == *new.prepared() {
            let reason = "must not be the current one".to_owned();
            return Err(AccountError::WeakPassword { field: "new_password", reason });
        }
        let turn = self.identity.hasher.turn(Share::Known).await?;
        drop(self.require_strong(turn, "new_password", new, &user.email, &user.name).await?);
        let guess = Guess {
            email: &user.email,
            password: current,
            device_token,
            share: Share::Known,
            action: actions::PASSWORD_CHANGED,
        };
        let (guess, turn) = self.guess(context, &guess).await?;
        if guess.user.id != principal.user_id {
            return Err(AccountError::InvalidCredentials); // another user has taken the address in the meantime
        }
        let hash = self.identity.hasher.hash(turn, new.prepared()).await?;
        let (guess, credential) = (&guess, &Credential::new(principal.user_id, hash, context.now));
        self.identity
            .transact(context, |tx| async move {
                guess.assume_in(&tx);
                let user = tx.get::<UserRecord>(principal.user_id.as_str()).await?;
                let user = user.filter(|user| user.has_live_session(principal));
                let user = user.ok_or(Refused::Unauthenticated)?;
                let stored = guess.still_verified(&tx).await?;
                tx.replace(&stored, credential)?;
                Attempts::forget(&tx, &guess.guessed.id(), context.now).await?;
                let sessions = user.sessions_ended_by(context);
                let changed = UserRecord { sessions, password_change_required: false, ..(*user).clone() };
                tx.replace_user(&user, &changed).await?;
                tx.record(user_event(actions::PASSWORD_CHANGED, user.id));
                Ok::<_, AccountError>(())
            })
            .await
    }
}
