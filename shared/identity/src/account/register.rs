use super::{Accounts, Credential};
use crate::actions::{self, user_event};
use crate::password::{Share, Turn, weakness};
use crate::session::{NewSession, sign_in_again};
use crate::user::{UserRecord, default_roles, is_email_taken};
use crate::{AccountError, DeviceName, EmailAddress, Password, PasswordHash, PersonName, SignIn};
use switchyard_kernel::{Context, UserId, rfc3339};

/// A request to register an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The e-mail address.
    pub email: EmailAddress,
    /// The password.
    pub password: Password,
    /// The name.
    pub name: PersonName,
    /// The name that the client gives the device.
    pub device_name: Option<DeviceName>,
}

impl Accounts<'_> {
    /// Creates an account and signs its owner in.
    ///
    /// # Errors
    ///
    /// [`AccountError::EmailTaken`] if another account has the address, in any spelling.
    /// [`AccountError::WeakPassword`] if the password is easy to guess.
    pub async fn register(
        &self,
        context: &Context,
        registration: &Registration,
    ) -> Result<SignIn, AccountError> {
        if let Some(effect) = context.earlier_effect() {
            return Ok(sign_in_again(self.identity, context, effect).await?);
        }
        let Registration { email, password, name, device_name } = registration;
        // The unique attribute finds a taken address, and only after the password was hashed. So testing which
        // addresses are taken is expensive, and the time of an answer does not reveal it.
        let hash = self.hash_if_strong(Share::Anyone, password, email, name).await?;
        let id = UserId::from(self.identity.kernel.ambient().uuid_v7());
        let mut user = UserRecord::new(id, email.clone(), name.clone(), default_roles(), true, context.now);
        user.registered_at = Some(rfc3339::to_millisecond(context.now));
        let (user, credential) = (&user, &Credential::new(id, hash, context.now));
        let session = &NewSession::new(self.identity, context, device_name.clone())?;
        let result = self
            .identity
            .transact(context, |tx| async move {
                let user = tx.insert_user(user)?;
                tx.insert(credential)?;
                tx.insert(&session.record(self.identity, context, &user))?;
                let event = user_event(actions::ACCOUNT_REGISTERED, id);
                tx.record(event.resource(format_args!("sessions/{}", session.id())));
                Ok::<_, AccountError>(user)
            })
            .await;
        match result {
            Ok(user) => Ok(session.sign_in(self.identity, context, &user, None).await?),
            Err(AccountError::Common(error)) if is_email_taken(&error) => Err(AccountError::EmailTaken),
            Err(error) => Err(error),
        }
    }

    /// Hashes a new password. Requires that it is not easy to guess.
    pub(super) async fn hash_if_strong(
        &self,
        share: Share,
        password: &Password,
        email: &EmailAddress,
        name: &PersonName,
    ) -> Result<PasswordHash, AccountError> {
        let turn = self.identity.hasher.turn(share).await?;
        let turn = self.require_strong(turn, "password", password, email, name).await?;
        Ok(self.identity.hasher.hash(turn, password.prepared()).await?)
    }

    /// Requires that a new password, from the field `field`, is not easy to guess. Returns the turn for further work.
    pub(super) async fn require_strong(
        &self,
        turn: Turn,
        field: &'static str,
        password: &Password,
        email: &EmailAddress,
        name: &PersonName,
    ) -> Result<Turn, AccountError> {
        let (password, email, name) = (password.clone(), email.clone(), name.clone());
        let service = self.identity.settings.token_issuer.clone();
        let (found, turn) = turn.run(move || weakness(&password, &email, &name, &service)).await?;
        match found {
            Some(reason) => Err(AccountError::WeakPassword { field, reason: reason.to_owned() }),
            None => Ok(turn),
        }
    }
}
