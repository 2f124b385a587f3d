use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use switchyard_ambient::{Ambient, SystemRandomness};
use switchyard_api::{Api, COLLECTIONS, serve_api};
use switchyard_database::{Collection, Database, Db, Error, Schema};
use switchyard_kernel::Authenticator;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;

use crate::factory::reason;
use crate::metrics::MetricsError;
use crate::server::Limits;
use crate::{ConnectError, DatabaseUrl, Metrics, Platform, Settings, connect, lambda, logs, server};

/// How long a function waits at its start for the database. It connects then, so that the first request need not; but
/// the first request answers for itself if that fails.
const FIRST_CALL: Duration = Duration::from_secs(2);

/// The pause of a server at its start before it asks a database again that does not answer yet.
const PING_AGAIN: Duration = Duration::from_millis(500);

/// How often a server removes what has expired, how much at once, and how long the writes of others have to themselves
/// then.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_AT_MOST: u32 = 1_000;
const SWEEP_PAUSE: Duration = Duration::from_millis(50);

/// What every program of the project has: settings, logs, metrics, a database; and how it answers requests.
#[derive(Debug)]
pub struct Runtime {
    settings: Settings,
    metrics: Metrics,
    db: Db,
}

/// Why a program cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// There is no database.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database does not do what it is asked for at the start.
    // The cause is not a `source` of the error, since the message already contains it.
    #[error("{backend} cannot be used: {}", reason(cause))]
    Database {
        /// The name of the backend.
        backend: &'static str,
        /// The error of the database.
        cause: switchyard_database::Error,
    },
    /// The metrics could not be set up.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The address is taken, or not one of this machine's.
    #[error("cannot listen on {address}; choose another address with HOST and PORT")]
    Listen {
        /// The address.
        address: String,
        /// The error of the operating system.
        #[source]
        cause: io::Error,
    },
    /// The handler of signals cannot be installed.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    /// Outside of Lambda nothing runs a program by schedules.
    #[error("this program is run by schedules on AWS Lambda; elsewhere use the commands of `switchyard`")]
    NoSchedules,
    /// Lambda's runtime interface does not answer.
    #[error("the Lambda runtime interface failed")]
    Lambda(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Runtime {
    /// Starts to log, and opens the database.
    pub async fn start(settings: Settings) -> Result<Self, RuntimeError> {
        let runtime = Self::start_with(settings, Ambient::system(), |database| database).await?;
        runtime.warm_up(runtime.db.backend().ping()).await;
        Ok(runtime)
    }

    /// Like [`start`](Self::start), with the clock and randomness of `ambient`, and with the database that `wrap` returns for
    /// the opened one: for a test that replays requests and records the calls of the database. No setting leads here. The
    /// database is not called.
    pub async fn start_with(
        settings: Settings,
        ambient: Ambient,
        wrap: impl FnOnce(Arc<dyn Database>) -> Arc<dyn Database>,
    ) -> Result<Self, RuntimeError> {
        logs::start(&settings.log);
        let metrics = match &settings.platform {
            Platform::Server => Metrics::in_process()?,
            Platform::Lambda { function } => Metrics::embedded(function.clone(), ambient.clone()),
        };
        let metrics = metrics.public(settings.diagnostics_are_public);
        // What a database draws for itself, pauses and tokens of its protocol, nobody sees; but a server that two programs
        // share must be able to tell them apart, also when a replay has both draw the same.
        let of_database = ambient.with_randomness(SystemRandomness);
        let database = metrics.time(wrap(connect(&settings.database_url, &of_database).await?));
        Ok(Self { settings, metrics, db: Db::new(database, ambient) })
    }

    /// Calls the database for the first time where that is part of a function's start, so that its first request need not
    /// connect. On a server, and if the database does not answer in time, returns `None`.
    pub async fn warm_up<T>(&self, call: impl Future<Output = switchyard_database::Result<T>>) -> Option<T> {
        if self.settings.platform == Platform::Server {
            return None;
        }
        match tokio::time::timeout(FIRST_CALL, call).await {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(fault)) => tracing::warn!(cause = %fault, "the database does not answer yet"),
            Err(_elapsed) => tracing::warn!("the database takes its time"),
        }
        None
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Brings the stored tables to these collections, and to those that the conventions of the API keep. On Lambda it
    /// does nothing: there it would happen at every cold start, and the deployment has done it.
    pub async fn migrate(
        &self,
        collections: impl IntoIterator<Item = &'static Collection>,
    ) -> Result<(), RuntimeError> {
        if matches!(self.settings.platform, Platform::Server) {
            self.wait_for_database().await?;
            let schema = Schema::new(collections.into_iter().chain(COLLECTIONS));
            let migrated = async { self.db.backend().migrate(&schema?).await };
            migrated.await.map_err(|cause| self.unusable(cause))?;
        }
        Ok(())
    }

    /// Waits until the database answers, as long as the settings say: after a power cut, or in a group of containers, both
    /// start at once.
    async fn wait_for_database(&self) -> Result<(), RuntimeError> {
        let deadline = Instant::now() + self.settings.database_start_timeout;
        let mut is_told = false;
        loop {
            match self.db.backend().ping().await {
                Ok(()) => return Ok(()),
                Err(Error::Unavailable(cause)) if Instant::now() + PING_AGAIN < deadline => {
                    if !is_told {
                        let seconds = self.settings.database_start_timeout.as_secs();
                        tracing::warn!(cause, "waiting up to {seconds} s for {}", self.backend());
                        is_told = true;
                    }
                    tokio::time::sleep(PING_AGAIN).await;
                }
                Err(cause) => return Err(self.unusable(cause)),
            }
        }
    }

    fn unusable(&self, cause: Error) -> RuntimeError {
        RuntimeError::Database { backend: self.backend(), cause }
    }

    fn backend(&self) -> &'static str {
        self.settings.database_url.backend()
    }

    /// Answers requests: as a Lambda function where there is one to be, else as a server on `HOST` and `PORT`, until
    /// Ctrl-C or SIGTERM.
    pub async fn serve(
        self,
        router: OpenApiRouter,
        authenticator: Arc<dyn Authenticator>,
    ) -> Result<(), RuntimeError> {
        self.serve_beside(router, authenticator, |_| {}, |_| std::future::ready(())).await
    }

    /// Runs `run` for each event of a schedule, with its name, as a Lambda function. A schedule sends its name as
    /// `{"run": "name"}`.
    ///
    /// # Errors
    ///
    /// [`RuntimeError::NoSchedules`] outside of Lambda, where nothing sends such events.
    pub async fn serve_schedules<F, R>(self, run: F) -> Result<(), RuntimeError>
    where
        F: Fn(String) -> R,
        R: Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>>,
    {
        match self.settings.platform {
            Platform::Lambda { .. } => lambda::serve_schedules(run).await.map_err(RuntimeError::Lambda),
            Platform::Server => Err(RuntimeError::NoSchedules),
        }
    }

    /// As [`serve`](Self::serve); a server calls `greet` with its address once it listens. Beside the requests it runs `work`,
    /// which is told when to stop, and waits for it.
    pub async fn serve_beside<W: Future<Output = ()>>(
        self,
        router: OpenApiRouter,
        authenticator: Arc<dyn Authenticator>,
        greet: impl FnOnce(SocketAddr),
        work: impl FnOnce(Stopped) -> W,
    ) -> Result<(), RuntimeError> {
        let Self { settings, metrics, db } = self;
        let api = Api::new(db.clone(), authenticator, settings.api, metrics.observer());
        let router = serve_api(router, Arc::new(api));
        if matches!(settings.platform, Platform::Lambda { .. }) {
            return lambda::serve(router, settings.base_path).await.map_err(RuntimeError::Lambda);
        }
        let limits = Limits {
            client_timeout: settings.client_timeout,
            keep_alive_timeout: settings.keep_alive_timeout,
            max_connections: server::connections_within_limits(settings.max_connections),
            shutdown_delay: settings.shutdown_delay,
            shutdown_timeout: settings.shutdown_timeout,
        };
        let address = settings.address;
        let listen = |cause| RuntimeError::Listen { address: address.to_string(), cause };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        tracing::info!("listening on http://{bound}");
        greet(bound);
        let (stopped, signals) = until_told_to_end();
        // DynamoDB removes what has expired itself, and to look for it there would mean to scan the tables.
        let sweeping =
            (!matches!(settings.database_url, DatabaseUrl::DynamoDb(_))).then(|| tokio::spawn(sweep(db)));
        let serving = server::serve(listener, router, settings.base_path, stopped.clone().wait(), limits);
        tokio::join!(serving, work(stopped));
        if let Some(sweeping) = sweeping {
            sweeping.abort();
        }
        ended(signals).await
    }

    /// Runs `work` and answers no requests, until Ctrl-C or SIGTERM tells it to stop.
    pub async fn work_alone<W: Future<Output = ()>>(
        self,
        work: impl FnOnce(Stopped) -> W,
    ) -> Result<(), RuntimeError> {
        let (stopped, signals) = until_told_to_end();
        work(stopped).await;
        ended(signals).await
    }
}

/// Whether a program was told to stop.
#[derive(Clone, Debug)]
pub struct Stopped(watch::Receiver<bool>);

impl Stopped {
    /// Completes when the program is told to stop.
    pub async fn wait(mut self) {
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

type Signals = JoinHandle<io::Result<()>>;

/// Waits for Ctrl-C or SIGTERM.
fn until_told_to_end() -> (Stopped, Signals) {
    let (stop, stopped) = watch::channel(false);
    let signals = tokio::spawn(async move {
        let told = server::told_to_end().await;
        stop.send_replace(true);
        told
    });
    (Stopped(stopped), signals)
}

async fn ended(signals: Signals) -> Result<(), RuntimeError> {
    match signals.await {
        Ok(told) => told.map_err(RuntimeError::Signals),
        Err(fault) => Err(RuntimeError::Signals(io::Error::other(fault))),
    }
}

/// Removes expired documents while the server runs. Reads already ignore them, so this only frees space.
async fn sweep(db: Db) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        if let Err(fault) = sweep_clean(&db, SWEEP_AT_MOST).await {
            tracing::warn!(cause = %fault, "what has expired could not be removed");
        }
    }
}

/// Removes everything that has expired, however much it is: otherwise more could come in a minute than goes.
async fn sweep_clean(db: &Db, at_once: u32) -> switchyard_database::Result<()> {
    while db.backend().sweep_expired(at_once).await? >= u64::from(at_once) {
        tokio::time::sleep(SWEEP_PAUSE).await;
    }
    Ok(())
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use serde_json::Map;
    use switchyard_ambient::{ManualClock, Timestamp};
    use switchyard_database::{Key, Operation};
    use switchyard_sqlite::Sqlite;

    use super::*;

    #[tokio::test]
    async fn a_sweep_leaves_nothing_that_has_expired() {
        const EXPIRING: &Collection = &Collection::new("expiring").expiring();
        let clock = ManualClock::at(Timestamp::from_seconds(1_000));
        let ambient = Ambient::new(clock.clone(), SystemRandomness);
        let db = Db::new(Arc::new(Sqlite::in_memory(ambient.clone()).unwrap()), ambient);
        db.backend().migrate(&Schema::new([EXPIRING]).unwrap()).await.unwrap();
        let create = |number: u32| Operation::Create {
            key: Key::new(EXPIRING, number.to_string()).unwrap(),
            body: Map::new(),
            expires_at: Some(Timestamp::from_seconds(2_000)),
        };
        db.commit((0..5).map(create).collect()).await.unwrap();
        clock.advance(Duration::from_secs(1_000));
        sweep_clean(&db, 2).await.unwrap();
        assert_eq!(db.backend().sweep_expired(10).await, Ok(0));
    }
}
