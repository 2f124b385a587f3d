//! The connections.
//!
//! A pool of our own and not deadpool-postgres: that gives back a connection whose transaction was abandoned, and does
//! not look whether one that was idle for long, as through a freeze on Lambda, is still there without asking every time.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchyard_ambient::{Ambient, Timestamp};
use switchyard_database::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::fault::{self, Fault, Outcome};
use crate::session::{Backend, Session};
use crate::settings::Settings;
use crate::tls;

/// A connection that was idle for longer is asked whether it is alive before it is used.
const TRUSTED_WHEN_IDLE: Duration = Duration::from_secs(1);
/// How long to wait for that answer.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait for a connection that others use.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// How the server plans the statements of the pool's sessions.
///
/// Each is written for one plan: along an index, in its order, no further than its page. The planner does not know that,
/// and guesses. It plans a range of a large table anew each time, which takes longer than reading it; what it plans while
/// a table has a few rows reads all of them, and is kept when there are many; and it starts processes for a long search.
pub(crate) const PLANNING: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("max_parallel_workers_per_gather", "0"),
    // A table without an index, as that of the structures, looks expensive enough now to compile its statement.
    ("jit", "off"),
];

/// The connections to one database.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    tls: MakeRustlsConnect,
    ambient: Ambient,
    permits: Arc<Semaphore>,
    /// The one that was used last comes first, so that those not needed stay unused.
    idle: Mutex<Vec<Session>>,
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    pub(crate) fn new(settings: Settings, ambient: Ambient) -> Result<Self> {
        let tls = tls::connector(settings.root_certificates.as_deref())?;
        let permits = Arc::new(Semaphore::new(settings.max_connections));
        Ok(Self { shared: Arc::new(Shared { settings, tls, ambient, permits, idle: Mutex::default() }) })
    }

    /// A connection, an idle one if there is one.
    pub(crate) async fn session(&self) -> Outcome<Pooled> {
        let permits = self.shared.permits.clone();
        let permit = match permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => match timeout(QUEUE_TIMEOUT, permits.acquire_owned()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_)) | Err(_) => {
                    tracing::warn!(
                        max_connections = self.shared.settings.max_connections,
                        "every connection to PostgreSQL is in use; consider more of them (max_connections)"
                    );
                    return Err(Fault::Final(Error::Throttled { after: None }));
                }
            },
        };
        let now = self.shared.ambient.now();
        loop {
            let idle = self.shared.idle().pop();
            let Some(session) = idle else { break };
            if session.is_clean() && (is_trusted(&session, now) || is_alive(&session).await) {
                return Ok(Pooled { session: Some(session), shared: self.shared.clone(), _permit: permit });
            }
        }
        let session = self.start(self.shared.settings.statement_timeout, PLANNING).await?;
        Ok(Pooled { session: Some(session), shared: self.shared.clone(), _permit: permit })
    }

    /// A connection outside the pool, for statements that may read whole tables.
    pub(crate) async fn connect(&self, statement_timeout: Duration) -> Outcome<Session> {
        self.start(statement_timeout, &[]).await
    }

    async fn start(&self, statement_timeout: Duration, planning: &[(&str, &str)]) -> Outcome<Session> {
        let Shared { settings, ambient, .. } = &*self.shared;
        let server = settings.server();
        let hosts = settings.config.get_hosts().len().max(settings.config.get_hostaddrs().len()).max(1);
        let patience = settings.connect_timeout() * u32::try_from(hosts).unwrap_or(u32::MAX);
        let opening = async {
            let mut session = self.open().await.map_err(|fault| fault::of_connecting(&server, &fault))?;
            if !settings.is_proxied {
                introduce(&mut session, statement_timeout, planning)
                    .await
                    .map_err(|fault| fault::of_connecting(&server, &fault))?;
            }
            session.used_at = (ambient.now(), Instant::now());
            Ok(session)
        };
        timeout(patience, opening).await.unwrap_or_else(|_| {
            Err(Fault::Unreachable(format!(
                "PostgreSQL at {server} did not answer within {} seconds",
                patience.as_secs()
            )))
        })
    }

    async fn open(&self) -> Result<Session, tokio_postgres::Error> {
        let config = &self.shared.settings.config;
        match self.open_as(config).await {
            // As libpq does: where TLS is only preferred, a server without a usable certificate is used without it.
            Err(fault) if config.get_ssl_mode() == SslMode::Prefer && is_handshake(&fault) => {
                self.open_as(config.clone().ssl_mode(SslMode::Disable)).await
            }
            opened => opened,
        }
    }

    async fn open_as(&self, config: &Config) -> Result<Session, tokio_postgres::Error> {
        let (client, connection) = config.connect(self.shared.tls.clone()).await?;
        tokio::spawn(async move {
            if let Err(fault) = connection.await {
                tracing::debug!(fault = fault::sentence_of(&fault), "a connection to PostgreSQL ended");
            }
        });
        let Shared { settings, ambient, .. } = &*self.shared;
        Ok(Session::new(client, settings.is_proxied, ambient.now()))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

fn is_handshake(fault: &tokio_postgres::Error) -> bool {
    fault.to_string().contains("TLS")
}

/// By both clocks: the one of the machine may have stood still while it was frozen, and the other may be set.
fn is_trusted(session: &Session, now: Timestamp) -> bool {
    let (used_at, instant) = session.used_at;
    instant.elapsed() < TRUSTED_WHEN_IDLE && now >= used_at && now - used_at < TRUSTED_WHEN_IDLE
}

async fn is_alive(session: &Session) -> bool {
    matches!(timeout(ALIVE_TIMEOUT, session.client().check_connection()).await, Ok(Ok(())))
}

/// Learns which process serves the session and fixes the settings that statements rely on.
async fn introduce(
    session: &mut Session,
    statement_timeout: Duration,
    planning: &[(&str, &str)],
) -> Result<(), tokio_postgres::Error> {
    let statement_timeout = statement_timeout.as_millis().to_string();
    let fixed =
        [("statement_timeout", &*statement_timeout), ("default_transaction_isolation", "read committed")];
    let settings = fixed.iter().chain(planning);
    let settings: String =
        settings.map(|(name, value)| format!(", set_config('{name}', '{value}', false)")).collect();
    let hello = format!(
        "select pid, extract(epoch from backend_start){settings} from pg_stat_get_activity(pg_backend_pid())"
    );
    for message in session.client().simple_query(&hello).await? {
        let SimpleQueryMessage::Row(row) = message else { continue };
        if let (Some(Ok(pid)), Some(started)) = (row.get(0).map(str::parse), row.get(1)) {
            session.backend = Some(Backend { pid, started: started.to_owned() });
        }
    }
    Ok(())
}

/// A connection of the pool. Dropped, it goes back, unless it was left in the middle of a transaction, or its server does not
/// write.
pub(crate) struct Pooled {
    session: Option<Session>,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Deref for Pooled {
    type Target = Session;

    #[expect(clippy::expect_used, reason = "only `drop` takes the session out")]
    fn deref(&self) -> &Session {
        self.session.as_ref().expect("the session is there until drop")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        if session.is_read_only() {
            // The others are connections to the same server: where there is another one, new ones may reach it.
            self.shared.idle().clear();
        } else if session.is_clean() {
            session.used_at = (self.shared.ambient.now(), Instant::now());
            self.shared.idle().push(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Sql;

    #[tokio::test]
    async fn a_server_that_does_not_write_any_more_is_left_by_all_connections() {
        let url = std::env::var("TEST_POSTGRES_URL").expect("see local/servers");
        let pool = Pool::new(Settings::parse(&url).unwrap(), Ambient::system()).unwrap();
        let sessions = [pool.session().await.unwrap(), pool.session().await.unwrap()];
        for session in &sessions {
            session.client().batch_execute("set default_transaction_read_only = on").await.unwrap();
        }
        drop(sessions);
        let write = Sql::new("create table test_not_written ()", &[]);
        let refused = pool.session().await.unwrap().execute(&write, &[]).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "25006");
        let next = pool.session().await.unwrap();
        let shown = next.client().query_one("show default_transaction_read_only", &[]).await.unwrap();
        assert_eq!(shown.get::<_, &str>(0), "off");
    }
}
