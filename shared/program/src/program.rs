use std::sync::Arc;

use switchyard_ambient::Ambient;
use switchyard_database::{Collection, Database, Db};
use switchyard_identity::{AccountError, FirstAdminOutcome, Identity, IdentitySettings, InstallError};
use switchyard_kernel::{Actor, KernelSettings};
use switchyard_runtime::{Environment, Platform, Runtime, RuntimeError, Settings, SettingsError};
use utoipa_axum::router::OpenApiRouter;

/// Every collection that a program stores: those of all domains and those of the API's conventions.
pub fn collections() -> impl Iterator<Item = &'static Collection> {
    let of_domains = switchyard_domains::ALL.iter().flat_map(|manifest| manifest.collections);
    of_domains.copied().chain(switchyard_api::COLLECTIONS)
}

/// Kernel and identity on a database. Does no I/O.
pub fn assemble(db: Db, kernel: KernelSettings, identity: IdentitySettings) -> Identity {
    let (kernel, authority) = crate::task::kernel(db, kernel);
    Identity::new(kernel, authority, identity)
}

/// Reads the settings of a program, as [`Program::start`] does.
pub fn read_settings(environment: &mut Environment) -> Option<(Settings, KernelSettings, IdentitySettings)> {
    let limits = switchyard_domains::ALL.iter().flat_map(|manifest| manifest.limits).copied();
    let settings = Settings::read_with(environment, limits);
    let kernel = KernelSettings::read(environment);
    let identity = IdentitySettings::read(environment);
    Some((settings?, kernel?, identity?))
}

/// A program whose routes are for users. Its `main` starts it, creates its router, and serves that.
#[derive(Debug)]
pub struct Program {
    /// Settings, logs, metrics, the database.
    pub runtime: Runtime,
    /// Accounts, sessions and roles. [`Identity::kernel`] is what other domains stand on.
    pub identity: Identity,
}

/// Why a program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are missing or malformed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
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
    /// Reads the settings from the environment, opens the database, and compares the secrets with those that it was set up
    /// with. A server also brings the database to what this version declares. On Lambda the deployment does that, once and
    /// not at every start.
    pub async fn start() -> Result<Self, StartError> {
        Self::start_with(Environment::of_process(), Ambient::system(), |database| database).await
    }

    /// Like [`start`](Self::start), with settings from `environment`, with the clock and randomness of `ambient`, and with the
    /// database that `wrap` returns for the opened one. A test that replays requests controls the former and records the
    /// calls of the latter.
    pub async fn start_with(
        environment: Environment,
        ambient: Ambient,
        wrap: impl FnOnce(Arc<dyn Database>) -> Arc<dyn Database>,
    ) -> Result<Self, StartError> {
        let program = Self::open(environment, ambient, wrap).await?;
        if program.runtime.settings().platform == Platform::Server {
            program.migrate().await?;
            program.identity.install(program.identity.context("start").now).await?;
        } else if let Some(Some(other)) = program.runtime.warm_up(program.identity.other_secret()).await {
            return Err(InstallError::from(other).into());
        }
        Ok(program)
    }

    /// Reads the settings from `environment` and opens the database, as [`start_with`](Self::start_with) does first. The
    /// database is not called.
    pub async fn open(
        environment: Environment,
        ambient: Ambient,
        wrap: impl FnOnce(Arc<dyn Database>) -> Arc<dyn Database>,
    ) -> Result<Self, StartError> {
        let ((settings, kernel, identity), warnings) = environment.read_with_warnings(read_settings)?;
        let runtime = Runtime::start_with(settings, ambient, wrap).await?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let identity = assemble(runtime.db().clone(), kernel, identity);
        Ok(Self { runtime, identity })
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
        self.runtime.serve(router, Arc::new(self.identity)).await
    }
}
