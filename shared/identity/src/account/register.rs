use super::{Accounts, Credential};
use crate::audit::{Action, AuditEvent};
use crate::password::weakness;
use crate::session::NewSession;
use crate::user::{UserRecord, default_roles, is_email_taken};
use crate::{
    AccountError, Context, DeviceName, EmailAddress, Password, PasswordHash, PersonName, SignIn, UserId,
    rfc3339,
};

/// Somebody who makes an account for themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The e-mail address.
    pub email: EmailAddress,
    /// The password.
    pub password: Password,
    /// What they want to be called.
    pub name: PersonName,
    /// What the client calls the device.
    pub device_name: Option<DeviceName>,
}

impl Accounts<'_> {
    /// Makes an account and signs its owner in.
    ///
    /// # Errors
    ///
    /// [`AccountError::EmailTaken`] where another account has the address, in whatever case it is written;
    /// [`AccountError::WeakPassword`] where the password is easy to guess.
    pub async fn register(
        &self,
        context: &Context,
        registration: &Registration,
    ) -> Result<SignIn, AccountError> {
        let Registration { email, password, name, device_name } = registration;
        // The unique attribute decides, and only after the password was hashed: whoever asks which addresses are taken pays
        // for each of them, and does not learn it from how long that takes.
        let hash = self.hash_if_strong(password, email, name).await?;
        let id = UserId::from(self.0.db.ambient().uuid_v7());
        let mut user = UserRecord::new(id, email.clone(), name.clone(), default_roles(), true, context.now);
        user.last_login_at = Some(rfc3339::to_millisecond(context.now));
        let (user, credential) = (&user, &Credential::new(id, hash, context.now));
        let session = &NewSession::new(self.0, device_name.clone());
        let result = self
            .0
            .transact(context, |work| async move {
                let user = work.insert_user(user)?;
                work.tx.insert(credential)?;
                work.tx.insert(&session.record(self.0, context, &user))?;
                work.record(AuditEvent::of_user(Action::ACCOUNT_REGISTERED, id));
                Ok::<_, AccountError>(user)
            })
            .await;
        match result {
            Ok(user) => session.sign_in(self.0, context, &user).map_err(AccountError::Internal),
            Err(AccountError::Database(error)) if is_email_taken(&error) => Err(AccountError::EmailTaken),
            Err(error) => Err(error),
        }
    }

    /// The hash of a new password that is not easy to guess.
    pub(super) async fn hash_if_strong(
        &self,
        password: &Password,
        email: &EmailAddress,
        name: &PersonName,
    ) -> Result<PasswordHash, AccountError> {
        self.require_strong(password, email, name).await?;
        let turn = self.0.hasher.turn().await?;
        Ok(self.0.hasher.hash(turn, password.expose()).await?)
    }

    /// Goes on when a new password is not easy to guess.
    pub(super) async fn require_strong(
        &self,
        password: &Password,
        email: &EmailAddress,
        name: &PersonName,
    ) -> Result<(), AccountError> {
        let judged = (password.clone(), email.clone(), name.clone());
        let found = self.0.hasher.run(move || weakness(&judged.0, &judged.1, &judged.2)).await?;
        match found {
            Some(reason) => Err(AccountError::WeakPassword { reason: reason.to_owned() }),
            None => Ok(()),
        }
    }
}
