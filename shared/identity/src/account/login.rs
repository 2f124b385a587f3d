use crate::actions::{self, user_event};
use switchyard_database::Stored;
use switchyard_kernel::{Context, Outcome, rfc3339};

use super::Accounts;
use super::guess::RightGuess;
use crate::password::Attempts;
use crate::session::{NewSession, end_surplus, sign_in_again, surplus_sessions};
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
    pub async fn login(
        &self,
        context: &Context,
        request: &LoginRequest,
    ) -> Result<LoginOutcome, AccountError> {
        if let Some(effect) = context.earlier_effect() {
            let sign_in = sign_in_again(self.identity, context, effect).await?;
            return Ok(LoginOutcome::SignedIn(Box::new(sign_in)));
        }
        let (guess, _) = self.guess(context, &request.email, &request.password, actions::SIGNED_IN).await?;
        let guess = &guess;
        if guess.user.disabled {
            return self.refuse_disabled(context, &request.email, guess).await;
        }
        let session = &NewSession::new(self.identity, context, request.device_name.clone());
        let attempts_id = &self.identity.attempts_id(&request.email);
        let surplus = &surplus_sessions(self.identity, guess.user.id).await?;
        let user = self
            .identity
            .transact(context, |tx| async move {
                let user = self.signed_in(&tx, context, guess).await?;
                Attempts::forget(&tx, attempts_id).await?;
                tx.insert(&session.record(self.identity, context, &user))?;
                end_surplus(self.identity, &tx, surplus, context).await?;
                let event = user_event(actions::SIGNED_IN, user.id);
                tx.record(event.resource(format_args!("sessions/{}", session.id())));
                Ok::<_, AccountError>(user)
            })
            .await?;
        let sign_in = session.sign_in(self.identity, context, &user)?;
        Ok(LoginOutcome::SignedIn(Box::new(sign_in)))
    }

    /// Marks the user as signed in, if the user and the password are still valid.
    async fn signed_in(
        &self,
        tx: &UserChanges,
        context: &Context,
        guess: &RightGuess,
    ) -> Result<Stored<UserRecord>, AccountError> {
        let id = guess.user.id;
        let user = tx.get::<UserRecord>(id.as_str()).await?.filter(|user| !user.deleted);
        let user = user.ok_or(AccountError::InvalidCredentials)?;
        if user.disabled {
            return Err(AccountError::AccountDisabled);
        }
        let credential = Self::still_verified(tx, id, &guess.verified).await?;
        if let Some(upgrade) = &guess.upgrade {
            tx.replace(&credential, &credential.rehashed(upgrade.clone()))?;
        }
        let changed = UserRecord {
            last_login_at: Some(rfc3339::to_millisecond(context.now)),
            locked_until: None,
            ..(*user).clone()
        };
        Ok(tx.replace_user(&user, &changed).await?)
    }

    async fn refuse_disabled(
        &self,
        context: &Context,
        email: &EmailAddress,
        guess: &RightGuess,
    ) -> Result<LoginOutcome, AccountError> {
        let attempts_id = &self.identity.attempts_id(email);
        self.identity
            .transact(context, |tx| async move {
                Attempts::forget(&tx, attempts_id).await?;
                let event = user_event(actions::SIGNED_IN, guess.user.id).outcome(Outcome::Denied);
                tx.record(event.detail("reason", "disabled"));
                Ok::<_, AccountError>(())
            })
            .await?;
        Err(AccountError::AccountDisabled)
    }
}
