//! What the services share.

use std::sync::Arc;

use switchyard_ambient::Timestamp;
use switchyard_database::{Db, Error as DatabaseError};

use crate::audit::{Action, AuditEvent, Outcome, append};
use crate::password::PasswordHasher;
use crate::role::RoleCache;
use crate::secret::{KeyRing, hex};
use crate::token::TokenIssuer;
use crate::user::UserRecord;
use crate::work::{Work, WorkFault};
use crate::{
    Actor, Context, EmailAddress, IdentitySettings, Permission, Permissions, Principal, Refused, RoleName,
    UserId,
};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) db: Db,
    pub(crate) settings: IdentitySettings,
    pub(crate) tokens: TokenIssuer,
    pub(crate) hasher: PasswordHasher,
    pub(crate) audit_keys: KeyRing,
    pub(crate) roles: RoleCache,
}

/// Why a caller was turned away, or why that could not be decided.
pub(crate) enum Denial {
    Refused(Refused),
    Database(DatabaseError),
}

impl From<DatabaseError> for Denial {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl Core {
    pub(crate) fn new(db: Db, settings: IdentitySettings) -> Arc<Self> {
        let tokens = TokenIssuer {
            keys: settings.signing_keys.clone(),
            issuer: settings.token_issuer.clone(),
            audience: settings.token_audience.clone(),
            ttl: settings.access_token_ttl,
        };
        let hasher = PasswordHasher::new(
            settings.password_pepper.clone(),
            settings.bcrypt_cost,
            settings.password_hash_threads,
            db.ambient().clone(),
        );
        let audit_keys = settings.audit_key.clone();
        Arc::new(Self { db, settings, tokens, hasher, audit_keys, roles: RoleCache::default() })
    }

    /// Runs `closure` as a transaction and writes, in the same one, what follows from the changes: counts, memberships,
    /// the guard of the last admin, audit entries.
    pub(crate) async fn transact<T, E, F, C>(&self, context: &Context, closure: C) -> Result<T, E>
    where
        E: From<DatabaseError> + From<WorkFault>,
        F: Future<Output = Result<T, E>>,
        C: Fn(Work) -> F,
    {
        let closure = &closure;
        self.db
            .transact(|tx| async move {
                let work = Work::new(tx, self.db.ambient().clone(), context.now);
                let value = closure(work.clone()).await?;
                let events = work.finish().await?;
                append(&work.tx, &self.audit_keys, self.db.ambient(), context, &events).await?;
                Ok(value)
            })
            .await
    }

    /// Records events about which there is nothing else to write.
    pub(crate) async fn record(&self, context: &Context, events: &[AuditEvent]) -> Result<(), DatabaseError> {
        self.db
            .transact(
                |tx| async move { append(&tx, &self.audit_keys, self.db.ambient(), context, events).await },
            )
            .await
    }

    /// Goes on for actors with `permission`, and records the attempts of others.
    pub(crate) async fn require(
        &self,
        context: &Context,
        permission: Permission,
        resource: &str,
    ) -> Result<(), Denial> {
        self.judge(context, context.require(permission), resource).await
    }

    /// Goes on for actors who still have `permission`, and records the attempts of others. The answer is the context in
    /// which to go on.
    pub(crate) async fn require_still(
        &self,
        context: &Context,
        permission: Permission,
        resource: &str,
    ) -> Result<Context, Denial> {
        let context = self.at_present(context).await?;
        self.require(&context, permission, resource).await?;
        Ok(context)
    }

    /// The context with what the actor may do now. A token tells of the time at which it was issued: whoever was shut out
    /// since, or lost a role, could undo that with it, or give to somebody else what they had.
    pub(crate) async fn at_present(&self, context: &Context) -> Result<Context, DatabaseError> {
        let Actor::User(principal) = &context.actor else { return Ok(context.clone()) };
        let user = self.db.collection::<UserRecord>().get(principal.user_id.as_str()).await?;
        let present = match user.filter(|user| user.is_let_in()) {
            Some(user) => self.permissions_of(&user.roles, context.now).await?,
            None => Permissions::NONE,
        };
        let permissions = principal.permissions.intersection(present);
        Ok(context.clone().by(Actor::User(Principal { permissions, ..principal.clone() })))
    }

    /// Goes on for the user `id` and for actors with `permission`, and records the attempts of others.
    pub(crate) async fn require_self_or(
        &self,
        context: &Context,
        id: UserId,
        permission: Permission,
    ) -> Result<(), Denial> {
        self.judge(context, context.require_self_or(id, permission), &format!("users/{id}")).await
    }

    /// Records a refusal. What nobody is signed in for is not an attempt worth an entry, and a missing step-up is a
    /// question, not a denial.
    pub(crate) async fn judge(
        &self,
        context: &Context,
        verdict: Result<(), Refused>,
        resource: &str,
    ) -> Result<(), Denial> {
        let Err(refused) = verdict else { return Ok(()) };
        if matches!(refused, Refused::Forbidden | Refused::NotFound) {
            let event = AuditEvent::new(Action::ACCESS_DENIED).resource(resource).outcome(Outcome::Denied);
            self.record(context, &[event]).await?;
        }
        Err(Denial::Refused(refused))
    }

    /// Records, of an operation that was decided in its transaction, that it was refused.
    pub(crate) async fn note<T, E: Refusal + From<DatabaseError>>(
        &self,
        context: &Context,
        resource: &str,
        result: Result<T, E>,
    ) -> Result<T, E> {
        if let Some(refused @ Refused::Forbidden) = result.as_ref().err().and_then(Refusal::refusal) {
            match self.judge(context, Err(refused), resource).await {
                Err(Denial::Database(error)) => return Err(error.into()),
                Ok(()) | Err(Denial::Refused(_)) => {}
            }
        }
        result
    }

    /// What roles permit. A change of a role is seen at once where it was made, elsewhere within half a minute.
    pub(crate) async fn permissions_of(
        &self,
        roles: &[RoleName],
        now: Timestamp,
    ) -> Result<Permissions, DatabaseError> {
        self.roles.permissions_of(&self.db, roles, now).await
    }

    /// Under which id the guesses at the password of an address are counted.
    pub(crate) fn attempts_id(&self, email: &EmailAddress) -> String {
        let message = format!("sign-in attempts at {}", email.key());
        hex(self.settings.password_pepper.current_code(message.as_bytes()).as_ref())
    }
}

/// An error that may say that the caller was turned away.
pub(crate) trait Refusal {
    fn refusal(&self) -> Option<Refused>;
}

impl<S: Refusal, E> Refusal for crate::EditError<S, E> {
    fn refusal(&self) -> Option<Refused> {
        match self {
            Self::Service(error) => error.refusal(),
            Self::Edit(_) => None,
        }
    }
}

macro_rules! denial_becomes {
    ($($error:ident),+) => {
        $(impl Refusal for crate::$error {
            fn refusal(&self) -> Option<Refused> {
                match self {
                    Self::Refused(refused) => Some(*refused),
                    _ => None,
                }
            }
        }

        impl<E> From<crate::$error> for crate::EditError<crate::$error, E> {
            fn from(error: crate::$error) -> Self {
                Self::Service(error)
            }
        }

        impl From<Denial> for crate::$error {
            fn from(denial: Denial) -> Self {
                match denial {
                    Denial::Refused(refused) => Self::Refused(refused),
                    Denial::Database(error) => Self::Database(error),
                }
            }
        })+
    };
}

denial_becomes!(AccountError, SessionError, UserError, RoleError, AuditError);

impl<S: From<Denial>, E> From<Denial> for crate::EditError<S, E> {
    fn from(denial: Denial) -> Self {
        Self::Service(denial.into())
    }
}
