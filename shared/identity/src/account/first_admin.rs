use crate::actions::{self, user_event};
use switchyard_kernel::{CommonError, Context, RoleName, UserId};

use super::{Accounts, Credential};
use crate::password::Share;
use crate::role::ADMIN;
use crate::user::{AdminCount, UserRecord, default_roles, is_email_taken};
use crate::{AccountError, EmailAddress, FirstAdmin, PersonName, Secret};

/// The outcome of [`Accounts::ensure_first_admin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstAdminOutcome {
    /// There was none, so this one was created.
    Created(UserId),
    /// They are an admin who can sign in already. Nothing was changed.
    AlreadyThere,
    /// Another admin can sign in already, and this one was not created. Nothing was changed.
    AnotherThere,
}

impl Accounts<'_> {
    /// Creates the first admin if no admin who can sign in exists. If several processes call this at once, one
    /// admin is created.
    ///
    /// # Errors
    ///
    /// [`AccountError::EmailTaken`] if a user who is not an admin has the address. They are not promoted, since
    /// anyone can register. [`AccountError::WeakPassword`] if the password is easy to guess.
    pub async fn ensure_first_admin(
        &self,
        context: &Context,
        admin: &FirstAdmin,
    ) -> Result<FirstAdminOutcome, AccountError> {
        if self.has_admin().await? {
            return self.outcome_beside(admin).await; // saves hashing the password at every start
        }
        match self.insert_admin(context, admin, true).await {
            Ok(Some(id)) => Ok(FirstAdminOutcome::Created(id)),
            Ok(None) => self.outcome_beside(admin).await,
            // If two processes use the same address, the second may see the taken address before it sees the
            // admin.
            Err(AccountError::EmailTaken) if self.has_admin().await? => self.outcome_beside(admin).await,
            Err(error) => Err(error),
        }
    }

    /// Creates the first admin with a random password, which they must change first, if there is no admin. For a server
    /// without settings for it. Returns the password, which must be shown now since only its hash is stored.
    pub async fn create_first_admin(
        &self,
        context: &Context,
        email: &EmailAddress,
    ) -> Result<Option<(UserId, Secret)>, AccountError> {
        let (admin, password) = self.generated_admin(email)?;
        Ok(match self.ensure_first_admin(context, &admin).await? {
            FirstAdminOutcome::Created(id) => Some((id, password)),
            FirstAdminOutcome::AlreadyThere | FirstAdminOutcome::AnotherThere => None,
        })
    }

    /// Creates an admin beside those that there are, with a random password, which they must change first. For an operator;
    /// requires the system as the actor.
    ///
    /// # Errors
    ///
    /// [`AccountError::EmailTaken`] if there is an account with the address. It is not promoted, since anyone can register.
    pub async fn create_admin(
        &self,
        context: &Context,
        email: &EmailAddress,
    ) -> Result<(UserId, Secret), AccountError> {
        context.require_system()?;
        let (admin, password) = self.generated_admin(email)?;
        let id = self.insert_admin(context, &admin, false).await?;
        Ok((id.ok_or_else(|| internal("no admin was created"))?, password))
    }

    /// Stores an admin, but with `only_first` only if there is no other.
    async fn insert_admin(
        &self,
        context: &Context,
        admin: &FirstAdmin,
        only_first: bool,
    ) -> Result<Option<UserId>, AccountError> {
        let name = PersonName::try_from("Administrator".to_owned()).map_err(internal)?;
        let hash = self.hash_if_strong(Share::Known, &admin.password, &admin.email, &name).await?;
        let id = UserId::from(self.identity.kernel.ambient().uuid_v7());
        let roles = [vec![RoleName::built_in(ADMIN)], default_roles()].concat();
        let user = UserRecord::new(id, admin.email.clone(), name, roles, true, context.now);
        let user = &UserRecord { password_change_required: admin.password_change_required, ..user };
        let credential = &Credential::new(id, hash, context.now);
        let result = self
            .identity
            .transact(context, |tx| async move {
                if only_first && AdminCount::read(&tx).await? > 0 {
                    return Ok(None);
                }
                tx.insert_user(user)?;
                tx.insert(credential)?;
                tx.record(user_event(actions::USER_CREATED, id).detail("roles", ADMIN));
                Ok::<_, AccountError>(Some(id))
            })
            .await;
        match result {
            Err(AccountError::Common(error)) if is_email_taken(&error) => Err(AccountError::EmailTaken),
            result => result,
        }
    }

    /// The outcome for an admin if there is one who can sign in.
    async fn outcome_beside(&self, admin: &FirstAdmin) -> Result<FirstAdminOutcome, AccountError> {
        let user = self.identity.db().collection::<UserRecord>().lookup("email", admin.email.key()).await?;
        Ok(match user {
            Some(user) if user.is_effective_admin() => FirstAdminOutcome::AlreadyThere,
            _ => FirstAdminOutcome::AnotherThere,
        })
    }

    fn generated_admin(&self, email: &EmailAddress) -> Result<(FirstAdmin, Secret), AccountError> {
        let secret = self.generate_password();
        let password = secret.expose().parse().map_err(internal)?;
        Ok((FirstAdmin { email: email.clone(), password, password_change_required: true }, secret))
    }

    async fn has_admin(&self) -> Result<bool, AccountError> {
        Ok(self.identity.db().transact(|tx| async move { AdminCount::read(&tx).await }).await? > 0)
    }
}

fn internal(fault: impl std::fmt::Display) -> AccountError {
    CommonError::Internal(fault.to_string()).into()
}
