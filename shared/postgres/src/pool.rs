//! The connections.
//!
//! A pool of our own and not deadpool-postgres: that gives back a connection whose transaction was abandoned, and does
//! not look whether one that was idle for long, as through a freeze on Lambda, is still there without asking every time.

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

/// A connection that was idle for longer is asked whether it is alive before it is used.
const TRUSTED_WHEN_IDLE: Duration = Duration::from_secs(1);
/// How long to wait for that answer.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait for a connection that others use.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// While a connection answers this promptly, others read by it, too, rather than by one of their own: client and server
/// then read and send several statements and answers at once. Where reading takes longer they do so side by side.
const PROMPT: Duration = Duration::from_millis(1);
/// Who read by one connection while others are free.
const READERS: usize = 8;
/// A connection that has not answered for longer may never do so again: nobody else begins to read by it.
const LONGEST_SILENCE: Duration = Duration::from_millis(100);

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
    /// Callers that wait for a connection.
    waiting: AtomicUsize,
    /// The one that was used last comes first, so that those not needed stay unused.
    idle: Mutex<Vec<Session>>,
    /// Those by which rows are read, or were a moment ago.
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
        let tls = tls::connector(settings.root_certificates.as_deref())?;
        let permits = Arc::new(Semaphore::new(settings.max_connections));
        let (waiting, idle, readers) = Default::default();
        Ok(Self { shared: Arc::new(Shared { settings, tls, ambient, permits, waiting, idle, readers }) })
    }

    /// A connection, an idle one if there is one.
    pub(crate) async fn session(&self) -> Outcome<Pooled> {
        let permit = match self.free_permit() {
            Some(permit) => permit,
            None => self.next_permit().await?,
        };
        self.lease(permit).await
    }

    /// A connection to read one row by, maybe one by which others read as well. Who waits for a connection goes first.
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

    /// Of the connections by which others read, less than so many, and which answered so lately, the one by which the
    /// fewest do.
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
                    "every connection to PostgreSQL is in use; consider more of them (max_connections)"
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

/// Counts a caller as long as it waits, also one that gives up.
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
    use std::pin::pin;

    use futures::FutureExt as _;
    use futures::future::join_all;

    use super::*;
    use crate::sql::Sql;

    fn pool(settings: &str) -> Pool {
        let url = std::env::var("TEST_POSTGRES_URL").expect("see local/servers");
        Pool::new(Settings::parse(&format!("{url}?{settings}")).unwrap(), Ambient::system()).unwrap()
    }

    /// As many idle connections, on a clock that stands still from now on.
    async fn idle(connections: usize) -> Pool {
        let pool = pool(&format!("max_connections={connections}"));
        let opened = join_all((0..connections).map(|_| pool.session())).await;
        drop(opened);
        tokio::time::pause();
        pool
    }

    /// The process of the server that answers a caller who need not wait.
    fn process(reader: impl Future<Output = Outcome<Arc<Pooled>>>) -> Option<(i32, Arc<Pooled>)> {
        let reader = reader.now_or_never()?.unwrap();
        Some((reader.backend.as_ref().unwrap().pid, reader))
    }

    async fn answer(reader: &Session) {
        reader.query(&Sql::new("select 1", &[]), &[]).await.unwrap();
    }

    #[tokio::test]
    async fn those_who_read_rows_share_a_connection_that_answers_promptly_up_to_a_number() {
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
    async fn where_none_is_free_they_share_one_that_answers_at_all() {
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
    async fn who_waits_for_a_connection_of_their_own_goes_before_those_who_read_rows() {
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
    async fn a_server_that_does_not_write_any_more_is_left_by_all_connections() {
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
