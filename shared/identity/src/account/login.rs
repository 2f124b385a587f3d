use crate::actions::{self, user_event};
use switchyard_database::Stored;
use switchyard_kernel::{Context, Outcome};

use super::Accounts;
use super::guess::{Guess, RightGuess};
use crate::password::{Attempts, Share};
use crate::session::{NewSession, end_surplus, sign_in_again};
use crate::user::UserRecord;
use crate::user_changes::UserChanges;
use crate::{AccountError, DeviceName, EmailAddress, Secret, SignIn};

/// A request to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRequest {
    /// The e-mail address.
    pub email: EmailAddress,
    /// The password. It can be any text, since an existing password may not meet the rules for new ones.
    pub password: Secret,
    /// The name that the client gives the device.
    pub device_name: Option<DeviceName>,
    /// The device token of an earlier sign-in on the device. One that is not valid is ignored.
    pub device_token: Option<Secret>,
}

/// The outcome of a sign-in with the right password.
#[derive(Clone, Debug, PartialEq)]
pub enum LoginOutcome {
    /// The user is signed in.
    SignedIn(Box<SignIn>),
}

impl Accounts<'_> {
    /// Signs a user in.
    ///
    /// # Errors
    ///
    /// [`AccountError::InvalidCredentials`] for an unknown address and for a wrong password, after the same
    /// amount of work. [`AccountError::AccountLocked`] for fifteen minutes after five failures in a row, even
    /// for an address without an account. [`AccountError::AccountDisabled`], but only if the password is right.
    /// [`Busy`](switchyard_kernel::CommonError::Busy) if more passwords wait than can be hashed in time.
    ///
    /// With a valid device token, failures count for the device alone, and a lock of the account does not apply. After five
    /// failures in a row, the device counts as unknown for fifteen minutes.
    pub async fn login(
        &self,
        context: &Context,
        request: &LoginRequest,
    ) -> Result<LoginOutcome, AccountError> {
        if let Some(effect) = context.earlier_effect() {
            let sign_in = sign_in_again(self.identity, context, effect).await?;
            return Ok(LoginOutcome::SignedIn(Box::new(sign_in)));
        }
        let guess = Guess {
            email: &request.email,
            password: &request.password,
            device_token: request.device_token.as_ref(),
            share: Share::Anyone,
            action: actions::SIGNED_IN,
        };
        let (guess, _) = self.guess(context, &guess).await?;
        let guess = &guess;
        if guess.user.disabled {
            return self.refuse_disabled(context, guess).await;
        }
        let id = guess.user.id;
        let session = &NewSession::new(self.identity, context, request.device_name.clone())?;
        let (user, attempts) = self
            .identity
            .transact(context, |tx| async move {
                guess.assume_in(&tx);
                let (user, attempts) = tokio::try_join!(
                    tx.get::<UserRecord>(id.as_str()),
                    Attempts::signed_in(&tx, &guess.guessed, id, context.now),
                )?;
                let user = Self::require_still_right(&tx, user, guess).await?;
                tx.insert(&session.record(self.identity, context, &user))?;
                if attempts.counts_sessions() {
                    end_surplus(self.identity, &tx, id, context).await?;
                }
                let event = user_event(actions::SIGNED_IN, id);
                tx.record(event.resource(format_args!("sessions/{}", session.id())));
                Ok::<_, AccountError>((user, attempts))
            })
            .await?;
        let sign_in = session.sign_in(self.identity, context, &user, Some(&attempts)).await?;
        Ok(LoginOutcome::SignedIn(Box::new(sign_in)))
    }

    /// Requires that the user may still sign in with the password that was verified.
    async fn require_still_right(
        tx: &UserChanges,
        user: Option<Stored<UserRecord>>,
        guess: &RightGuess,
    ) -> Result<Stored<UserRecord>, AccountError> {
        let user = user.filter(|user| !user.deleted).ok_or(AccountError::InvalidCredentials)?;
        if user.disabled {
            return Err(AccountError::AccountDisabled);
        }
        // A new password ends all other sessions. So if none were ended, the password is the one that was verified, and the
        // credential need not be read again.
        let is_unchanged = user.sessions.epoch() == guess.user.sessions.epoch();
        if guess.upgrade.is_some() || !is_unchanged {
            let credential = guess.still_verified(tx).await?;
            if let Some(upgrade) = &guess.upgrade {
                tx.replace(&credential, &credential.rehashed(upgrade.clone()))?;
            }
        }
        Ok(user)
    }

    async fn refuse_disabled(
        &self,
        context: &Context,
        guess: &RightGuess,
    ) -> Result<LoginOutcome, AccountError> {
        self.identity
            .transact(context, |tx| async move {
                Attempts::forget(&tx, &guess.guessed.id(), context.now).await?;
                let event = user_event(actions::SIGNED_IN, guess.user.id).outcome(Outcome::Denied);
                tx.record(event.detail("reason", "disabled"));
                Ok::<_, AccountError>(())
            })
            .await?;
        Err(AccountError::AccountDisabled)
    }
}
