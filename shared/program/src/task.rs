use std::sync::Arc;

use switchyard_ambient::Ambient;
use switchyard_database::{Database, Db};
use switchyard_identity::{InstallError, RoleAuthority};
use switchyard_jobs::{NoAnnouncer, Outbox, Payloads};
use switchyard_kernel::{Kernel, KernelSettings, other_secret};
use switchyard_runtime::{Environment, Function, Runtime, Settings};
use switchyard_sealing::Sealer;

use crate::program::read_kernel_settings;
use crate::{Secrets, StartError};

/// A program without users, which schedules run. It needs no secrets but those of the kernel and the services.
#[derive(Debug)]
pub struct Task {
    /// Settings, logs, metrics, the database.
    pub runtime: Runtime,
    /// The audit log, and what all domains declare.
    pub kernel: Kernel,
    /// What encrypts fields of documents.
    pub sealer: Sealer,
    /// What keeps the secrets up to date while it runs.
    pub secrets: Arc<Secrets>,
}

impl Task {
    /// Reads the settings from the environment with the secrets that the function declares, opens the database, and compares
    /// the secrets with those of the database.
    pub async fn start(function: &Function) -> Result<Self, StartError> {
        let environment = Environment::of_process();
        Self::start_with(environment, function.secrets, Ambient::system(), |database| database).await
    }

    /// Like [`start`](Self::start), with settings from `environment`, with the secrets that are `needed`, with the clock and
    /// randomness of `ambient`, and with the database that `wrap` returns for the opened one.
    pub async fn start_with(
        environment: Environment,
        needed: &'static [&'static str],
        ambient: Ambient,
        wrap: impl FnOnce(Arc<dyn Database>) -> Arc<dyn Database>,
    ) -> Result<Self, StartError> {
        // The deployment records which keys are in use.
        let (environment, secrets) = Secrets::complete(environment, needed, &ambient, false).await?;
        let read = |environment: &mut Environment| {
            let (settings, kernel) = (Settings::read(environment), read_kernel_settings(environment, needed));
            Some((settings?, kernel?))
        };
        let (settings, (kernel, seal_keys)) = environment.read(read)?;
        let sealer = Sealer::new(seal_keys, ambient.clone());
        let runtime = Runtime::start_with(settings, ambient, wrap).await?;
        let kernel = self::kernel(runtime.db().clone(), kernel).0;
        let compared = other_secret(runtime.db(), kernel.settings().secrets());
        if let Some(Some(other)) = runtime.warm_up(compared).await {
            return Err(InstallError::from(other).into());
        }
        Ok(Self { runtime, kernel, sealer, secrets: Arc::new(secrets) })
    }
}

impl Task {
    /// Where its jobs are stored. They are not announced.
    pub fn outbox(&self) -> Outbox {
        Outbox::new(self.kernel.ambient().clone(), Payloads::unsealed(), Arc::new(NoAnnouncer))
    }
}

/// The kernel on a database, and what answers which permissions its users have. Does no I/O.
pub(crate) fn kernel(db: Db, settings: KernelSettings) -> (Kernel, RoleAuthority) {
    let authority = RoleAuthority::new(db.clone(), switchyard_domains::ALL);
    let kernel = Kernel::new(db, settings, switchyard_domains::ALL, Arc::new(authority.clone()));
    (kernel, authority)
}
