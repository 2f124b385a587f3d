//! The server under load, with a database of its own that can be killed.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use anyhow::Context as _;
use switchyard_harness::identity::{ADMIN_ENVIRONMENT, sign_in_admin};
use switchyard_harness::process::Process;
use switchyard_harness::servers::DatabaseServer;
use switchyard_harness::store::Backend;
use tempfile::TempDir;

/// A server and its database. Dropping it stops both.
pub(crate) struct Site {
    environment: Vec<(String, String)>,
    address: Mutex<SocketAddr>,
    server: Mutex<Process>,
    // Dropped last: the server writes into the folder.
    database: Option<DatabaseServer>,
    folder: TempDir,
}

impl Site {
    pub(crate) async fn start(backend: Backend) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let database = match backend {
            Backend::Sqlite => None,
            Backend::Postgres | Backend::DynamoDb => Some(DatabaseServer::start(backend.name()).await?),
        };
        let mut environment = match &database {
            Some(database) => database.environment().await?,
            None => Vec::new(),
        };
        let url = match backend {
            Backend::Sqlite => format!("sqlite:{}", folder.path().join("switchyard.db").display()),
            Backend::Postgres => environment.first().context("local/servers printed no URL")?.1.clone(),
            Backend::DynamoDb => "dynamodb://endurance".to_owned(),
        };
        environment.push(("DATABASE_URL".to_owned(), url));
        let server = serve(folder.path(), &environment).await?;
        let address = Mutex::new(address_of(&server)?);
        Ok(Self { environment, address, server: Mutex::new(server), database, folder })
    }

    /// The address of the server. It changes if a crash restarts the server.
    pub(crate) fn address(&self) -> SocketAddr {
        *self.address.lock().expect("the lock is not poisoned")
    }

    pub(crate) async fn admin_token(&self) -> anyhow::Result<String> {
        sign_in_admin(&format!("http://{}", self.address())).await
    }

    /// The server's resident memory; `None` while it is not running.
    pub(crate) fn megabytes(&self) -> Option<f64> {
        self.server.lock().expect("the lock is not poisoned").megabytes().ok()
    }

    /// Kills the database's processes (SIGKILL) and restarts them on the same data. An embedded database runs in the
    /// server, so the server is killed.
    pub(crate) async fn crash(&self) -> anyhow::Result<()> {
        if let Some(database) = &self.database {
            return database.crash().await;
        }
        self.server.lock().expect("the lock is not poisoned").kill()?;
        let server = serve(self.folder.path(), &self.environment).await?;
        *self.address.lock().expect("the lock is not poisoned") = address_of(&server)?;
        *self.server.lock().expect("the lock is not poisoned") = server;
        Ok(())
    }
}

fn address_of(server: &Process) -> anyhow::Result<SocketAddr> {
    Ok(server.base_url.trim_start_matches("http://").parse()?)
}

async fn serve(folder: &Path, environment: &[(String, String)]) -> anyhow::Result<Process> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command
        .current_dir(folder)
        .env_clear()
        .envs(environment.iter().cloned())
        .envs(ADMIN_ENVIRONMENT)
        .env("SECRETS", "file:secrets");
    command.envs([
        // The minimum, so that a log-in does not take a quarter of a second of a core.
        ("BCRYPT_COST", "4"),
        ("RATE_LIMIT", "off"),
        ("RATE_LIMIT_USER", "off"),
        ("LOG_FORMAT", "json"),
    ]);
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    Process::serve_with_log(command, log).await
}
