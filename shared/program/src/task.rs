use std::sync::Arc;

use switchyard_ambient::Ambient;
use switchyard_database::{Database, Db};
use switchyard_identity::{InstallError, RoleAuthority};
use switchyard_kernel::{Kernel, KernelSettings, other_secret};
use switchyard_runtime::{Environment, Runtime, Settings};

use crate::StartError;

/// A program without users, which schedules run. It needs no secrets but those of the kernel.
#[derive(Debug)]
pub struct Task {
    /// Settings, logs, metrics, the database.
    pub runtime: Runtime,
    /// The audit log, and what all domains declare.
    pub kernel: Kernel,
}

impl Task {
    /// Reads the settings from the environment, opens the database, and compares the secret with that of the database.
    pub async fn start() -> Result<Self, StartError> {
        Self::start_with(Environment::of_process(), Ambient::system(), |database| database).await
    }

    /// Like [`start`](Self::start), with settings from `environment`, with the clock and randomness of `ambient`, and with the
    /// database that `wrap` returns for the opened one.
    pub async fn start_with(
        environment: Environment,
        ambient: Ambient,
        wrap: impl FnOnce(Arc<dyn Database>) -> Arc<dyn Database>,
    ) -> Result<Self, StartError> {
        let read = |environment: &mut Environment| {
            let (settings, kernel) = (Settings::read(environment), KernelSettings::read(environment));
            Some((settings?, kernel?))
        };
        let (settings, secrets) = environment.read(read)?;
        let held = [secrets.held_secret()];
        let runtime = Runtime::start_with(settings, ambient, wrap).await?;
        let kernel = kernel(runtime.db().clone(), secrets).0;
        if let Some(Some(other)) = runtime.warm_up(other_secret(runtime.db(), &held)).await {
            return Err(InstallError::from(other).into());
        }
        Ok(Self { runtime, kernel })
    }
}

/// The kernel on a database, and what answers which permissions its users have. Does no I/O.
pub(crate) fn kernel(db: Db, settings: KernelSettings) -> (Kernel, RoleAuthority) {
    let authority = RoleAuthority::new(db.clone(), switchyard_domains::ALL);
    let kernel = Kernel::new(db, settings, switchyard_domains::ALL, Arc::new(authority.clone()));
    (kernel, authority)
}
