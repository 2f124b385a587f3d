use std::sync::Arc;

use switchyard_ambient::Ambient;
use switchyard_identity::{AccountError, Actor, COLLECTIONS, Identity, IdentitySettings, InstallError};
use switchyard_runtime::{Environment, Platform, Runtime, RuntimeError, Settings, SettingsError};
use utoipa_axum::router::OpenApiRouter;

use crate::AccessTokens;

/// A program whose routes are for users: its `main` starts it, makes its router, and serves that.
#[derive(Debug)]
pub struct Program {
    /// Settings, logs, metrics, the database.
    pub runtime: Runtime,
    /// Accounts, sessions, roles and the audit log.
    pub identity: Identity,
}

/// Why a program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What it was told.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// What it runs on.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The database as identity finds it.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The first admin.
    #[error("the first admin cannot be made")]
    FirstAdmin(#[source] AccountError),
}

impl Program {
    /// Reads the settings from the environment and opens the database. A server also brings the database to what this
    /// version needs; on Lambda that is for the deployment to do, once and not at every start.
    pub async fn start() -> Result<Self, StartError> {
        Self::start_with(Environment::of_process(), Ambient::system()).await
    }

    /// As [`start`](Self::start), with settings out of this environment; and, for a test that replays requests, with
    /// another clock and other randomness than the machine's.
    pub async fn start_with(environment: Environment, ambient: Ambient) -> Result<Self, StartError> {
        let (settings, identity_settings) = environment.read(|environment| {
            let (settings, identity) = (Settings::read(environment), IdentitySettings::read(environment));
            Some((settings?, identity?))
        })?;
        let runtime = Runtime::start_with(settings, ambient).await?;
        let identity = Identity::new(runtime.db().clone(), identity_settings);
        let program = Self { runtime, identity };
        if program.runtime.settings().platform == Platform::Server {
            program.prepare().await?;
        }
        Ok(program)
    }

    async fn prepare(&self) -> Result<(), StartError> {
        self.runtime.migrate(COLLECTIONS.iter().copied()).await?;
        Ok(self.identity.install(self.identity.context("start").now).await?)
    }

    /// Makes the first admin, if the settings name one and there is none; a server alone does this, too.
    ///
    /// A step of its own, for the programs that take passwords anyway: what judges the admin's is an eighth of a function.
    pub async fn with_first_admin(self) -> Result<Self, StartError> {
        let admin = self.identity.settings().first_admin.as_ref();
        if let Some(admin) = admin.filter(|_| self.runtime.settings().platform == Platform::Server) {
            let context = self.identity.context("start").by(Actor::System);
            let accounts = self.identity.accounts();
            accounts.ensure_first_admin(&context, admin).await.map_err(StartError::FirstAdmin)?;
        }
        Ok(self)
    }

    /// Answers requests until the program is told to end.
    pub async fn serve(self, router: OpenApiRouter) -> Result<(), RuntimeError> {
        let tokens = AccessTokens::new(self.identity, self.runtime.db().ambient().clone());
        self.runtime.serve(router, Arc::new(tokens)).await
    }
}
