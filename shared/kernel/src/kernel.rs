use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use switchyard_ambient::Ambient;
use switchyard_database::{Collection, Db, Error as DatabaseError, Transaction};
use switchyard_settings::Environment;

use crate::audit::{Appender, SeenEnds, unknown_key};
use crate::refusals::LocalCounts;
use crate::{
    Action, AuditEvent, AuditLog, Authority, BuiltInRole, Cause, CommonError, Context, KeyRing, Manifests,
    Permission, Refused, ReplaceableSecret, Rotating, ServiceCode, UserId,
};

/// What messages of [`Kernel::code`] begin with, so that a code of one is no code of an audit entry.
const CODE_OF_SERVICE: &[u8] = b"switchyard: code of the service\0";

/// The settings of the kernel.
#[derive(Clone, Debug)]
pub struct KernelSettings {
    /// The keys of the audit log's chains.
    pub audit_keys: Rotating<KeyRing>,
    /// The secrets of the services that the program is made of.
    service_secrets: Vec<Arc<dyn ReplaceableSecret>>,
}

impl KernelSettings {
    const AUDIT_KEY: &'static str = "AUDIT_KEY";

    /// Reads the settings, with the secrets that are `needed`; `None` if one is missing or malformed, which `environment` has
    /// recorded then.
    pub fn read(environment: &mut Environment, needed: &[&str]) -> Option<Self> {
        let meaning = "the keys of the audit log's chains, the current one first";
        let audit_keys = Rotating::read(environment, needed, Self::AUDIT_KEY, KeyRing::FORM, meaning);
        Some(Self { audit_keys: audit_keys?, service_secrets: Vec::new() })
    }

    /// Settings with these keys.
    pub fn with_audit_keys(keys: KeyRing) -> Self {
        Self { audit_keys: Rotating::new(Self::AUDIT_KEY, keys), service_secrets: Vec::new() }
    }

    /// Adds the secret of a service, which is recorded and replaced like those of the kernel.
    #[must_use]
    pub fn with_service_secret(mut self, secret: impl ReplaceableSecret + 'static) -> Self {
        self.service_secrets.push(Arc::new(secret));
        self
    }

    /// The secrets of the kernel and of the services.
    pub fn secrets(&self) -> impl Iterator<Item = &dyn ReplaceableSecret> {
        let of_services = self.service_secrets.iter().map(|secret| &**secret);
        std::iter::once::<&dyn ReplaceableSecret>(&self.audit_keys).chain(of_services)
    }
}

/// What every domain stands on: the database, the audit log, the permission checks, and what all domains declare. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Kernel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    settings: KernelSettings,
    manifests: Manifests,
    authority: Arc<dyn Authority>,
    seen_ends: SeenEnds,
    local_counts: LocalCounts,
}

impl Kernel {
    /// A kernel on a database, for a program made of `manifests`. `authority` answers what users may do now. Does no I/O.
    pub fn new(
        db: Db,
        settings: KernelSettings,
        manifests: Manifests,
        authority: Arc<dyn Authority>,
    ) -> Self {
        Self(Arc::new(Inner {
            db,
            settings,
            manifests,
            authority,
            seen_ends: SeenEnds::default(),
            local_counts: LocalCounts::default(),
        }))
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// The clock and the randomness.
    pub fn ambient(&self) -> &Ambient {
        self.db().ambient()
    }

    /// An anonymous context at the current time.
    pub fn context(&self, request_id: impl Into<String>) -> Context {
        Context::anonymous(request_id, self.ambient().now())
    }

    /// Every collection that is declared.
    pub fn collections(&self) -> impl Iterator<Item = &'static Collection> {
        self.0.manifests.iter().flat_map(|manifest| manifest.collections).copied()
    }

    /// Every permission that is declared, in the order of declaration.
    pub fn permissions(&self) -> impl Iterator<Item = Permission> {
        self.0.manifests.iter().flat_map(|manifest| manifest.permissions).copied()
    }

    /// Every built-in role that is declared.
    pub fn built_in_roles(&self) -> impl Iterator<Item = &'static BuiltInRole> {
        self.0.manifests.iter().flat_map(|manifest| manifest.roles)
    }

    /// Every action of the audit log that is declared.
    pub fn actions(&self) -> impl Iterator<Item = Action> {
        self.0.manifests.iter().flat_map(|manifest| manifest.actions).copied()
    }

    /// The audit log.
    pub fn audit_log(&self) -> AuditLog<'_> {
        AuditLog::new(self)
    }

    pub(crate) fn authority(&self) -> &dyn Authority {
        &*self.0.authority
    }

    /// The settings.
    pub fn settings(&self) -> &KernelSettings {
        &self.0.settings
    }

    pub(crate) fn audit_keys(&self) -> Result<Arc<KeyRing>, DatabaseError> {
        self.0.settings.audit_keys.get()
    }

    /// A code over `message` under a key of the audit log, with which no entry is coded: see
    /// [`Authenticator::code`](crate::Authenticator::code).
    pub fn code(&self, key_id: Option<&str>, message: &[u8]) -> Option<ServiceCode> {
        let keys = self.0.settings.audit_keys.current()?;
        let key_id = key_id.unwrap_or(keys.current_id()).to_owned();
        let code = keys.code(&key_id, &[CODE_OF_SERVICE, message].concat())?;
        Some(ServiceCode { code: code.as_ref().to_vec(), key_id })
    }

    pub(crate) fn local_counts(&self) -> &LocalCounts {
        &self.0.local_counts
    }

    pub(crate) fn appender(&self) -> Appender<'_> {
        Appender { keys: &self.0.settings.audit_keys, ambient: self.ambient(), seen: &self.0.seen_ends }
    }

    /// The id of a key that the audit log was written with and that the settings lack. A program with the wrong keys can
    /// neither verify the log nor continue its chains.
    pub async fn unknown_audit_key(&self) -> Result<Option<String>, DatabaseError> {
        match self.0.settings.audit_keys.current() {
            Some(keys) => unknown_key(self.db(), &keys).await,
            None => Ok(None),
        }
    }

    /// Requires a signed-in user whose session has not ended, as part of a transaction: see [`Authority::is_session_live`].
    /// Returns the user.
    ///
    /// # Errors
    ///
    /// [`Refused::Unauthenticated`] otherwise.
    pub async fn require_live_session(
        &self,
        tx: &Transaction,
        context: &Context,
    ) -> Result<UserId, CommonError> {
        let principal = context.principal()?;
        let is_live = self.authority().is_session_live(tx, principal).await?;
        if is_live { Ok(principal.user_id) } else { Err(Refused::Unauthenticated.into()) }
    }

    /// Runs `closure` as a transaction, and writes the events that it recorded to the audit log in the same transaction.
    ///
    /// As with [`Db::transact`], the closure runs again if what it read has changed, also if it failed. If it fails after
    /// [`AuditedTransaction::deny`], the denial is recorded in a transaction of its own, unless the database could not
    /// confirm what the denial rests on.
    ///
    /// If the request has an `Idempotency-Key`, and all recorded events are successes, the transaction also records that the
    /// request took effect. It cannot commit if the request took effect before.
    pub async fn transact<T, E, F, C>(&self, context: &Context, closure: C) -> Result<T, E>
    where
        E: From<DatabaseError>,
        F: Future<Output = Result<T, E>>,
        C: Fn(AuditedTransaction) -> F,
    {
        let (closure, denied, key) = (&closure, &Denied::default(), context.request_key.as_ref());
        let cause = &Arc::new(context.cause());
        let result = self
            .db()
            .transact(|tx| async move {
                denied.list().clear();
                let tx = AuditedTransaction {
                    tx,
                    events: Arc::default(),
                    denied: denied.clone(),
                    cause: cause.clone(),
                };
                let value = closure(tx.clone()).await.map_err(Failure::Refused)?;
                let events = std::mem::take(&mut *tx.events());
                if let Some(key) = key {
                    key.record(&tx, &events)?;
                }
                let appended = self.appender().append(&tx, context, &events).await?;
                Ok((value, appended))
            })
            .await;
        if let Some(key) = key {
            match &result {
                Ok(_) => key.note_committed(),
                Err(Failure::Database(DatabaseError::OutcomeUnknown(_))) => {}
                Err(_) => key.note_not_applied(),
            }
        }
        match result {
            Ok((value, appended)) => {
                self.appender().committed(appended);
                Ok(value)
            }
            Err(Failure::Refused(error)) => {
                let resources = std::mem::take(&mut *denied.list());
                for resource in resources {
                    self.record_denial(context, &resource).await?;
                }
                Err(error)
            }
            Err(Failure::Database(fault)) => Err(fault.into()),
        }
    }

    /// Records events that change no other document.
    pub async fn record(&self, context: &Context, events: &[AuditEvent]) -> Result<(), DatabaseError> {
        let appender = self.appender();
        let appended = self.db().transact(|tx| async move { appender.append(&tx, context, events).await });
        appender.committed(appended.await?);
        Ok(())
    }
}

/// Why an audited transaction failed.
enum Failure<E> {
    /// Its closure failed.
    Refused(E),
    /// The database failed, or could not confirm what the closure had read.
    Database(DatabaseError),
}

impl<E> From<DatabaseError> for Failure<E> {
    fn from(fault: DatabaseError) -> Self {
        Self::Database(fault)
    }
}

/// The resources to which a transaction denied access.
#[derive(Clone, Debug, Default)]
struct Denied(Arc<Mutex<Vec<String>>>);

impl Denied {
    fn list(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transaction whose events are written to the audit log when it commits. Dereferences to the database's [`Transaction`].
#[derive(Clone, Debug)]
pub struct AuditedTransaction {
    tx: Transaction,
    events: Arc<Mutex<Vec<AuditEvent>>>,
    denied: Denied,
    cause: Arc<Cause>,
}

impl AuditedTransaction {
    /// The request that it belongs to.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Records an event, which is written if the transaction commits.
    pub fn record(&self, event: AuditEvent) {
        self.events().push(event);
    }

    /// Passes on `verdict`. A refusal is recorded as [`deny`](Self::deny) does, if [`Kernel::check`] would record it.
    ///
    /// # Errors
    ///
    /// The refusal, with which the closure has to fail.
    pub fn check(&self, verdict: Result<(), Refused>, resource: impl Into<String>) -> Result<(), Refused> {
        if verdict.is_err_and(Refused::is_denial) {
            let _ = self.deny(resource);
        }
        verdict
    }

    /// Denies access to `resource`: the closure has to fail with what this returns, and the denial is recorded then.
    #[must_use]
    pub fn deny(&self, resource: impl Into<String>) -> Refused {
        self.denied.list().push(resource.into());
        Refused::Forbidden
    }

    fn events(&self) -> MutexGuard<'_, Vec<AuditEvent>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for AuditedTransaction {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.tx
    }
}
