use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use switchyard_ambient::Ambient;
use switchyard_aws::SecretsManagerError;
use switchyard_database::{Collection, Database, Db};
use switchyard_identity::{AccountError, FirstAdminOutcome, Identity, IdentitySettings, InstallError};
use switchyard_jobs::{Announcements, Announcer, Jobs, NoAnnouncer, Outbox, Payloads, local_announcements};
use switchyard_kernel::{Actor, KernelSettings, Rotating};
use switchyard_runtime::{Environment, Function, Platform, Runtime, RuntimeError, Settings, SettingsError};
use switchyard_sealing::{SealRing, Sealer};
use utoipa_axum::router::OpenApiRouter;

use crate::Secrets;

/// Every collection that a program stores: those of all domains and those of the API's conventions.
pub fn collections() -> impl Iterator<Item = &'static Collection> {
    let of_domains = switchyard_domains::ALL.iter().flat_map(|manifest| manifest.collections);
    of_domains.copied().chain(switchyard_api::COLLECTIONS)
}

/// Kernel and identity on a database, whose jobs are not announced. Does no I/O.
pub fn assemble(db: Db, kernel: KernelSettings, identity: IdentitySettings) -> Identity {
    assemble_announcing(db, kernel, identity, Arc::new(NoAnnouncer))
}

/// Like [`assemble`], with jobs that are announced.
pub fn assemble_announcing(
    db: Db,
    kernel: KernelSettings,
    identity: IdentitySettings,
    announcer: Arc<dyn Announcer>,
) -> Identity {
    let outbox = Outbox::new(db.ambient().clone(), Payloads::unsealed(), announcer);
    let (kernel, authority) = crate::task::kernel(db, kernel);
    Identity::new(kernel, authority, identity, outbox)
}

/// The administration of the jobs of all domains.
pub fn jobs(identity: &Identity) -> Jobs {
    let kinds = switchyard_domains::JOBS.iter().copied().flatten().map(|job| job.kind);
    Jobs::new(identity.kernel().clone(), identity.outbox().clone(), kinds)
}

/// Reads the settings of a program that needs these secrets, as [`Program::start`] does.
pub fn read_settings(
    environment: &mut Environment,
    needed: &[&str],
) -> Option<(Settings, KernelSettings, Rotating<SealRing>, IdentitySettings)> {
    let limits = switchyard_domains::ALL.iter().flat_map(|manifest| manifest.limits).copied();
    let settings = Settings::read_with(environment, limits);
    let kernel = read_kernel_settings(environment, needed);
    let public_url = settings.as_ref().and_then(|settings| settings.public_url.clone());
    let identity = IdentitySettings::read(environment, needed, public_url);
    let (kernel, seal_keys) = kernel?;
    Some((settings?, kernel, seal_keys, identity?))
}

/// Reads the settings of the kernel and of the services that stand on it.
pub(crate) fn read_kernel_settings(
    environment: &mut Environment,
    needed: &[&str],
) -> Option<(KernelSettings, Rotating<SealRing>)> {
    let kernel = KernelSettings::read(environment, needed);
    let seal_keys = SealRing::read(environment, needed)?;
    Some((kernel?.with_service_secret(seal_keys.clone()), seal_keys))
}

/// A program whose routes are for users. Its `main` starts it, creates its router, and serves that.
#[derive(Debug)]
pub struct Program {
    /// Settings, logs, metrics, the database.
    pub runtime: Runtime,
    /// Accounts, sessions and roles. [`Identity::kernel`] is what other domains stand on.
    pub identity: Identity,
    /// What encrypts fields of documents.
    pub sealer: Sealer,
    /// What keeps the secrets up to date while it runs.
    pub secrets: Arc<Secrets>,
    /// The jobs that its requests store, for a worker of the same process.
    pub announcements: Announcements,
}

/// Why a program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are missing or malformed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The secrets cannot be read.
    #[error(transparent)]
    Secrets(#[from] SecretsManagerError),
    /// The database or the server cannot be used.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Identity cannot be set up on the database.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The first admin cannot be created.
    #[error("the first admin cannot be created from ADMIN_EMAIL and ADMIN_PASSWORD")]
    FirstAdmin(#[source] AccountError),
}

impl Program {
    /// Reads the settings from the environment with the secrets that the function declares, opens the database, and compares
    /// the secrets with those that it was set up with. A server also brings the database to what this version declares. On
    /// Lambda the deployment does that, once and not at every start.
    pub async fn start(function: &Function) -> Result<Self, StartError> {
        let environment = Environment::of_process();
        Self::start_with(environment, function.secrets, Ambient::system(), |database| database).await
    }

    /// Like [`start`](Self::start), with settings from `environment`, with the secrets that are `needed`, with the clock and
    /// randomness of `ambient`, and with the database that `wrap` returns for the opened one. A test that replays requests
    /// controls the former and records the calls of the latter.
    pub async fn start_with(
        environment: Environment,
        needed: &'static [&'static str],
        ambient: Ambient,
        wrap: impl FnOnce(Arc<dyn Database>) -> Arc<dyn Database>,
    ) -> Result<Self, StartError> {
        let program = Self::open(environment, needed, ambient, wrap).await?;
        let now = program.identity.context("start").now;
        if program.runtime.settings().platform == Platform::Server {
            program.migrate().await?;
            program.identity.install(now).await?;
        } else if let Some(Some(other)) = program.runtime.warm_up(program.identity.begin(now)).await {
            return Err(InstallError::from(other).into());
        }
        Ok(program)
    }

    /// Reads the settings from `environment` and opens the database, as [`start_with`](Self::start_with) does first. The
    /// database is not called.
    pub async fn open(
        environment: Environment,
        needed: &'static [&'static str],
        ambient: Ambient,
        wrap: impl FnOnce(Arc<dyn Database>) -> Arc<dyn Database>,
    ) -> Result<Self, StartError> {
        // On Lambda the deployment records which keys are in use, since functions may only read that.
        let records = Platform::read(&environment) == Platform::Server;
        let (environment, secrets) = Secrets::complete(environment, needed, &ambient, records).await?;
        let read = |environment: &mut Environment| read_settings(environment, needed);
        let ((settings, kernel, seal_keys, identity), warnings) = environment.read_with_warnings(read)?;
        let sealer = Sealer::new(seal_keys, ambient.clone());
        let runtime = Runtime::start_with(settings, ambient, wrap).await?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let (announcer, announcements) = local_announcements();
        let identity = assemble_announcing(runtime.db().clone(), kernel, identity, Arc::new(announcer));
        Ok(Self { runtime, identity, sealer, secrets: Arc::new(secrets), announcements })
    }

    /// The administration of jobs.
    pub fn jobs(&self) -> Jobs {
        jobs(&self.identity)
    }

    /// Brings the tables to what this version declares. [`Identity::install`] comes next.
    pub async fn migrate(&self) -> Result<(), StartError> {
        Ok(self.runtime.migrate(self.identity.kernel().collections()).await?)
    }

    /// Creates the first admin, if the settings name one and there is none. Only a server does so. Logs a warning if there is
    /// none but another one.
    ///
    /// This is a step of its own, for the programs that hash passwords anyway: the code that estimates the strength of the
    /// admin's password is an eighth of a function.
    pub async fn with_first_admin(self) -> Result<Self, StartError> {
        let admin = self.identity.settings().first_admin.as_ref();
        if let Some(admin) = admin.filter(|_| self.runtime.settings().platform == Platform::Server) {
            let context = self.identity.context("start").by(Actor::System);
            let accounts = self.identity.accounts();
            let outcome = accounts.ensure_first_admin(&context, admin).await;
            if outcome.map_err(StartError::FirstAdmin)? == FirstAdminOutcome::AnotherThere {
                tracing::warn!(
                    "ADMIN_EMAIL does not name an admin, and none was created because there is another admin already; \
                     `switchyard admin create` creates one beside them"
                );
            }
        }
        Ok(self)
    }

    /// Answers requests until the program is told to end.
    pub async fn serve(self, router: OpenApiRouter) -> Result<(), RuntimeError> {
        let router = self.with_fresh_secrets(router);
        self.runtime.serve(router, Arc::new(self.identity)).await
    }

    /// Has the secrets kept up to date before each request: see [`Secrets::keep_fresh`].
    pub fn with_fresh_secrets(&self, router: OpenApiRouter) -> OpenApiRouter {
        let (secrets, identity) = (self.secrets.clone(), self.identity.clone());
        router.layer(from_fn(move |request: Request, next: Next| {
            let (secrets, identity) = (secrets.clone(), identity.clone());
            async move {
                secrets.keep_fresh(identity.kernel().db(), identity.secrets()).await;
                next.run(request).await
            }
        }))
    }
}
