use std::sync::Arc;

use switchyard_database::{Db, Error as DatabaseError};
use switchyard_jobs::Outbox;
use switchyard_kernel::{Context, Kernel, hex};

use crate::password::{Guessed, PasswordHasher};
use crate::role::RoleAuthority;
use crate::session::DeviceKeys;
use crate::token::{TokenIssuer, TokenKeys};
use crate::user_changes::UserChanges;
use crate::{AccountError, EmailAddress, IdentitySettings, RoleError, SessionError, UserError};

/// What the services of identity are built from.
#[derive(Debug)]
pub(crate) struct Components {
    pub(crate) kernel: Kernel,
    pub(crate) authority: RoleAuthority,
    pub(crate) settings: IdentitySettings,
    pub(crate) tokens: TokenIssuer,
    pub(crate) hasher: PasswordHasher,
    pub(crate) outbox: Outbox,
}

impl Components {
    pub(crate) fn new(
        kernel: Kernel,
        authority: RoleAuthority,
        settings: IdentitySettings,
        outbox: Outbox,
    ) -> Arc<Self> {
        let tokens = TokenIssuer {
            keys: TokenKeys::new(settings.signing_keys.clone()),
            issuer: settings.token_issuer.clone(),
            audience: settings.token_audience.clone(),
        };
        let hasher = PasswordHasher::new(
            settings.password_pepper.clone(),
            settings.bcrypt_cost,
            settings.password_hash_threads,
            kernel.ambient().clone(),
        );
        Arc::new(Self { kernel, authority, settings, tokens, hasher, outbox })
    }

    pub(crate) fn db(&self) -> &Db {
        self.kernel.db()
    }

    /// Runs `closure` as a transaction. What follows from the changes of users is written in the same one: counts,
    /// memberships, the guard of the last admin, audit entries.
    pub(crate) async fn transact<T, E, F, C>(&self, context: &Context, closure: C) -> Result<T, E>
    where
        E: ServiceError,
        F: Future<Output = Result<T, E>>,
        C: Fn(UserChanges) -> F,
    {
        let closure = &closure;
        self.kernel
            .transact(context, |tx| async move {
                let changes = UserChanges::new(tx, self.kernel.clone(), context.now);
                let value = closure(changes.clone()).await?;
                changes.finish::<E>().await?;
                Ok(value)
            })
            .await
    }

    /// What guesses at the password of an address without an account are counted for.
    pub(crate) fn guessed_address(&self, email: &EmailAddress) -> Result<Guessed, DatabaseError> {
        let message = format!("sign-in attempts at {}", email.key());
        let code = self.settings.sign_in_keys.get()?.current_code(message.as_bytes());
        Ok(Guessed::Address(hex(code.as_ref())))
    }

    /// The keys of device tokens.
    pub(crate) fn device_keys(&self) -> Result<DeviceKeys, DatabaseError> {
        Ok(DeviceKeys::new(&*self.settings.sign_in_keys.get()?))
    }
}

/// The error of a service that changes users.
pub(crate) trait ServiceError: From<DatabaseError> {
    /// The error of a change that would leave no admin who can sign in.
    fn last_admin() -> Self {
        DatabaseError::Internal("an operation that takes no admin away took the last one".to_owned()).into()
    }
}

impl ServiceError for AccountError {}
impl ServiceError for SessionError {}
impl ServiceError for RoleError {}

impl ServiceError for UserError {
    fn last_admin() -> Self {
        Self::LastAdmin
    }
}
