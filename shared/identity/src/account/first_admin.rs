use crate::actions::{self, user_event};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use switchyard_kernel::{CommonError, Context, RoleName, UserId};

use super::{Accounts, Credential};
use crate::role::ADMIN;
use crate::user::{AdminCount, UserRecord, default_roles, is_email_taken};
use crate::{AccountError, EmailAddress, FirstAdmin, PersonName, Secret};

/// The outcome of [`Accounts::ensure_first_admin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstAdminOutcome {
    /// There was none, so this one was created.
    Created(UserId),
    /// There is an admin who can sign in already. Nothing was changed.
    AlreadyThere,
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
            return Ok(FirstAdminOutcome::AlreadyThere); // saves hashing the password at every start
        }
        let name = PersonName::try_from("Administrator".to_owned()).map_err(internal)?;
        let hash = self.hash_if_strong(&admin.password, &admin.email, &name).await?;
        let id = UserId::from(self.identity.kernel.ambient().uuid_v7());
        let roles = [vec![RoleName::built_in(ADMIN)], default_roles()].concat();
        let user = &UserRecord::new(id, admin.email.clone(), name, roles, true, context.now);
        let credential = &Credential::new(id, hash, context.now);
        let result = self
            .identity
            .transact(context, |tx| async move {
                if AdminCount::read(&tx).await? > 0 {
                    return Ok(FirstAdminOutcome::AlreadyThere);
                }
                tx.insert_user(user)?;
                tx.insert(credential)?;
                tx.record(user_event(actions::USER_CREATED, id).detail("roles", ADMIN));
                Ok::<_, AccountError>(FirstAdminOutcome::Created(id))
            })
            .await;
        match result {
            // If two processes use the same address, the second may see the taken address before it sees the
            // admin.
            Err(AccountError::Common(error)) if is_email_taken(&error) => {
                if self.has_admin().await? {
                    Ok(FirstAdminOutcome::AlreadyThere)
                } else {
                    Err(AccountError::EmailTaken)
                }
            }
            result => result,
        }
    }

    /// Creates the first admin with a random password if there is no admin, for a server on a developer's
    /// machine without settings for it. Returns the password, which must be shown now since only its hash is
    /// stored.
    pub async fn create_first_admin(
        &self,
        context: &Context,
        email: &EmailAddress,
    ) -> Result<Option<(UserId, Secret)>, AccountError> {
        let password = URL_SAFE_NO_PAD.encode(self.identity.kernel.ambient().bytes::<15>());
        let admin = FirstAdmin { email: email.clone(), password: password.parse().map_err(internal)? };
        Ok(match self.ensure_first_admin(context, &admin).await? {
            FirstAdminOutcome::Created(id) => Some((id, Secret::new(password))),
            FirstAdminOutcome::AlreadyThere => None,
        })
    }

    async fn has_admin(&self) -> Result<bool, AccountError> {
        Ok(self.identity.db().transact(|tx| async move { AdminCount::read(&tx).await }).await? > 0)
    }
}

fn internal(fault: impl std::fmt::Display) -> AccountError {
    CommonError::Internal(fault.to_string()).into()
}
