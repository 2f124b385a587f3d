use switchyard_database::Stored;

use super::Accounts;
use super::guess::RightGuess;
use crate::audit::{Action, AuditEvent, Outcome};
use crate::password::Attempts;
use crate::session::NewSession;
use crate::user::UserRecord;
use crate::work::Work;
use crate::{AccountError, Context, DeviceName, EmailAddress, Secret, SignIn, rfc3339};

/// Somebody who wants to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRequest {
    /// The e-mail address.
    pub email: EmailAddress,
    /// The password: any text, since one that could not be chosen today may still be somebody's.
    pub password: Secret,
    /// What the client calls the device.
    pub device_name: Option<DeviceName>,
}

/// What came of a right password.
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
    /// [`AccountError::InvalidCredentials`] for an unknown address and for a wrong password, after the same work;
    /// [`AccountError::AccountLocked`] after five of these in a row, for fifteen minutes, also for an address that nobody
    /// has; [`AccountError::AccountDisabled`], but only after the right password.
    pub async fn login(
        &self,
        context: &Context,
        request: &LoginRequest,
    ) -> Result<LoginOutcome, AccountError> {
        let (guess, _) = self.guess(context, &request.email, &request.password, Action::SIGNED_IN).await?;
        let guess = &guess;
        if guess.user.disabled {
            return self.refuse_disabled(context, &request.email, guess).await;
        }
        let session = &NewSession::new(self.0, request.device_name.clone());
        let attempts_id = &self.0.attempts_id(&request.email);
        let user = self
            .0
            .transact(context, |work| async move {
                let user = self.signed_in(&work, context, guess).await?;
                Attempts::forget(&work.tx, attempts_id).await?;
                work.tx.insert(&session.record(self.0, context, &user))?;
                let event = AuditEvent::of_user(Action::SIGNED_IN, user.id);
                work.record(event.resource(format_args!("sessions/{}", session.id())));
                Ok::<_, AccountError>(user)
            })
            .await?;
        let sign_in = session.sign_in(self.0, context, &user).map_err(AccountError::Internal)?;
        Ok(LoginOutcome::SignedIn(Box::new(sign_in)))
    }

    /// Marks the user as signed in, if what was verified is still so.
    async fn signed_in(
        &self,
        work: &Work,
        context: &Context,
        guess: &RightGuess,
    ) -> Result<Stored<UserRecord>, AccountError> {
        let id = guess.user.id;
        let user = work.tx.get::<UserRecord>(id.as_str()).await?.filter(|user| !user.deleted);
        let user = user.ok_or(AccountError::InvalidCredentials)?;
        if user.disabled {
            return Err(AccountError::AccountDisabled);
        }
        let credential = Self::still_verified(work, id, &guess.verified).await?;
        if let Some(upgrade) = &guess.upgrade {
            work.tx.replace(&credential, &credential.rehashed(upgrade.clone()))?;
        }
        let changed = UserRecord {
            last_login_at: Some(rfc3339::to_millisecond(context.now)),
            locked_until: None,
            ..(*user).clone()
        };
        Ok(work.replace_user(&user, &changed).await?)
    }

    async fn refuse_disabled(
        &self,
        context: &Context,
        email: &EmailAddress,
        guess: &RightGuess,
    ) -> Result<LoginOutcome, AccountError> {
        let attempts_id = &self.0.attempts_id(email);
        self.0
            .transact(context, |work| async move {
                Attempts::forget(&work.tx, attempts_id).await?;
                let event = AuditEvent::of_user(Action::SIGNED_IN, guess.user.id).outcome(Outcome::Denied);
                work.record(event.detail("reason", "disabled"));
                Ok::<_, AccountError>(())
            })
            .await?;
        Err(AccountError::AccountDisabled)
    }
}
