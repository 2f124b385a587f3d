//! The pool of connections.
//!
//! This is not deadpool-postgres, which reuses a connection whose transaction was abandoned, and which can check
//! whether a connection is still alive after being idle for long, for example after a freeze on Lambda, only by
//! checking it at every use.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
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

/// A connection that was idle for longer is checked before it is used.
const TRUSTED_WHEN_IDLE: Duration = Duration::from_secs(1);
/// How long to wait for the answer to that check.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait for a connection if all are in use.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// Reads share a connection while it answers this promptly, although other connections are free: client and server
/// then receive and send several statements and answers at once. Slower reads use separate connections and run in
/// parallel.
const PROMPT: Duration = Duration::from_millis(1);
/// The number of reads that share one connection while others are free.
const READERS: usize = 8;
/// A connection that has not answered for longer may never answer again: no further read joins it.
const LONGEST_SILENCE: Duration = Duration::from_millis(100);

/// Settings for the query planner of the server, for all statements of the pool's sessions.
///
/// Each statement is written for one plan: it follows an index in its order and reads no more than a page. The
/// planner does not know this and estimates instead. It plans each range of a large table again, which takes
/// longer than reading it. While a table has few rows, it chooses to read all of them, and keeps that plan when
/// there are many. For a long search it starts parallel processes.
pub(crate) const PLANNING: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("max_parallel_workers_per_gather", "0"),
    // With these settings a table without an index, such as the table of structures, looks so expensive that its
    // statement would be compiled.
    ("jit", "off"),
];

/// The pool of connections to one database.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    tls: MakeRustlsConnect,
    ambient: Ambient,
    permits: Arc<Semaphore>,
    /// The number of callers that wait for a connection.
    waiting: AtomicUsize,
    /// The most recently used connection is used first, so that connections that are not needed stay unused.
    idle: Mutex<Vec<Session>>,
    /// The connections that serve reads of single rows, or did so recently.
    readers: Mutex<Vec<Weak<Pooled>>>,
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Weak<Pooled>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    pub(crate) fn new(settings: Settings, ambient: Ambient) -> Result<Self> {
        let tls = tls::connector(settings.root_certificates.as_ref())?;
        settings.warn_if_unverified();
        let permits = Arc::new(Semaphore::new(settings.max_connections));
        let (waiting, idle, readers) = Default::default();
        Ok(Self { shared: Arc::new(Shared { settings, tls, ambient, permits, waiting, idle, readers }) })
    }

    /// Returns a connection: an idle one if there is one, else a new one.
    pub(crate) async fn session(&self) -> Outcome<Pooled> {
        let permit = match self.free_permit() {
            Some(permit) => permit,
            None => self.next_permit().await?,
        };
        self.lease(permit).await
    }

    /// Returns a connection for reading one row, which other reads may share. Callers that already wait for a
    /// connection of their own have priority.
    pub(crate) async fn reader(&self) -> Outcome<Arc<Pooled>> {
        if let Some(reader) = self.joined_reader(PROMPT, READERS) {
            return Ok(reader);
        }
        let permit = match self.free_permit() {
            Some(permit) => permit,
            None => match self.joined_reader(LONGEST_SILENCE, usize::MAX) {
                Some(reader) => return Ok(reader),
                None => self.next_permit().await?,
            },
        };
        let reader = Arc::new(self.lease(permit).await?);
        let mut readers = self.shared.readers();
        readers.retain(|reader| reader.strong_count() > 0);
        readers.push(Arc::downgrade(&reader));
        Ok(reader)
    }

    /// Returns the least used among the connections that serve fewer than `readers` reads and have answered within
    /// `silence`.
    fn joined_reader(&self, silence: Duration, readers: usize) -> Option<Arc<Pooled>> {
        if self.shared.waiting.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let candidates = self.shared.readers();
        let candidates = candidates.iter().filter(|reader| reader.strong_count() < readers);
        let candidates = candidates.filter_map(Weak::upgrade);
        let answering = candidates.filter(|reader| reader.is_clean() && reader.silence() < silence);
        answering.min_by_key(Arc::strong_count)
    }

    fn free_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.shared.permits.clone().try_acquire_owned().ok()
    }

    async fn next_permit(&self) -> Outcome<OwnedSemaphorePermit> {
        let _waiting = Waiting::among(&self.shared.waiting);
        match timeout(QUEUE_TIMEOUT, self.shared.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(
                    max_connections = self.shared.settings.max_connections,
                    "all connections to PostgreSQL are in use; consider raising max_connections"
                );
                Err(Fault::Final(Error::Throttled { after: None }))
            }
        }
    }

    async fn lease(&self, permit: OwnedSemaphorePermit) -> Outcome<Pooled> {
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

    /// Opens a connection outside the pool, for statements that may read whole tables.
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
                configure(&mut session, statement_timeout, planning)
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
            // Like libpq: if TLS is only preferred and the server has no usable certificate, connect without TLS.
            Err(fault) if config.get_ssl_mode() == SslMode::Prefer && fault::is_tls(&fault) => {
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

/// Counts a caller while it waits, even if the caller is cancelled.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn among(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a session was used so recently that it needs no check. Compares both clocks, because the monotonic
/// clock may have stopped while the machine was frozen, and the wall clock may have been set.
fn is_trusted(session: &Session, now: Timestamp) -> bool {
    let (used_at, instant) = session.used_at;
    instant.elapsed() < TRUSTED_WHEN_IDLE && now >= used_at && now - used_at < TRUSTED_WHEN_IDLE
}

async fn is_alive(session: &Session) -> bool {
    matches!(timeout(ALIVE_TIMEOUT, session.client().check_connection()).await, Ok(Ok(())))
}

/// Reads which server process serves the session, and sets the settings on which statements rely.
async fn configure(
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

/// A connection of the pool. When dropped, it returns to the pool, unless a transaction is still open or the
/// server is read-only.
pub(crate) struct Pooled {
    session: Option<Session>,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Deref for Pooled {
    type Target = Session;

    #[expect(clippy::expect_used, reason = "only `drop` takes the session out")]
    fn deref(&self) -> &Session {
        self.session.as_ref().expect("only drop takes the session")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        if session.is_read_only() {
            // The other idle connections go to the same server. If there is another server, new connections may
            // reach it.
            self.shared.idle().clear();
        } else if session.is_clean() {
            session.used_at = (self.shared.ambient.now(), Instant::now());
            self.shared.idle().push(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt as _;
    use futures::future::join_all;

    use super::*;
    use crate::sql::Sql;

    fn pool(settings: &str) -> Pool {
        let url = std::env::var("TEST_POSTGRES_URL").expect("see local/servers");
        Pool::new(Settings::parse(&format!("{url}?{settings}")).unwrap(), Ambient::system()).unwrap()
    }

    /// Returns a pool with `connections` idle connections, and stops the clock.
    async fn idle(connections: usize) -> Pool {
        let pool = pool(&format!("max_connections={connections}"));
        let opened = join_all((0..connections).map(|_| pool.session())).await;
        drop(opened);
        tokio::time::pause();
        pool
    }

    /// Returns the server process that serves a caller that need not wait.
    fn process(reader: impl Future<Output = Outcome<Arc<Pooled>>>) -> Option<(i32, Arc<Pooled>)> {
        let reader = reader.now_or_never()?.unwrap();
        Some((reader.backend.as_ref().unwrap().pid, reader))
    }

    async fn answer(reader: &Session) {
        reader.query(&Sql::new("select 1", &[]), &[]).await.unwrap();
    }

    #[tokio::test]
    async fn reads_of_rows_share_a_promptly_answering_connection_up_to_a_limit() {
        let pool = idle(2).await;
        let (first, reader) = process(pool.reader()).unwrap();
        answer(&reader).await;
        let joined: Vec<_> = (1..READERS).map(|_| process(pool.reader()).unwrap()).collect();
        assert!(joined.iter().all(|(process, _)| *process == first));
        let (second, own) = process(pool.reader()).unwrap();
        assert_ne!(second, first);
        drop((joined, own));
        assert_eq!(process(pool.reader()).unwrap().0, first);
        tokio::time::advance(PROMPT).await;
        assert_eq!(process(pool.reader()).unwrap().0, second);
    }

    #[tokio::test]
    async fn if_no_connection_is_free_reads_share_one_that_still_answers() {
        let pool = idle(1).await;
        let (_, reader) = process(pool.reader()).unwrap();
        answer(&reader).await;
        tokio::time::advance(PROMPT).await;
        let more: Vec<_> = (0..2 * READERS).map(|_| process(pool.reader()).unwrap()).collect();
        drop(more);
        tokio::time::advance(LONGEST_SILENCE).await;
        assert!(process(pool.reader()).is_none());
        answer(&reader).await;
        assert!(process(pool.reader()).is_some());
    }

    #[tokio::test]
    async fn callers_that_wait_for_a_connection_have_priority_over_reads_of_rows() {
        let pool = idle(1).await;
        let (_, reader) = process(pool.reader()).unwrap();
        answer(&reader).await;
        let mut alone = pin!(pool.session());
        assert!(alone.as_mut().now_or_never().is_none());
        let mut late = pin!(pool.reader());
        assert!(late.as_mut().now_or_never().is_none());
        drop(reader);
        let alone = alone.now_or_never().unwrap().unwrap();
        assert!(late.as_mut().now_or_never().is_none());
        drop(alone);
        assert!(late.now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn connections_to_a_server_that_became_read_only_are_discarded() {
        let pool = pool("");
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
