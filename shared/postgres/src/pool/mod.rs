//! The pool of connections.
//!
//! This is not deadpool-postgres, which reuses a connection whose transaction was abandoned or whose statement
//! still runs, and which can check whether a connection is still alive after being idle for long, for example after
//! a freeze on Lambda, only by checking it at every use.

mod abandoned;
mod connector;
mod handshake;
mod lease;
mod places;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use switchyard_ambient::{Ambient, Timestamp};
use switchyard_database::{Error, Result};
use tokio::time::timeout;
use tokio_postgres::Row;

use crate::fault::{Fault, Outcome};
use crate::limits::Limits;
use crate::session::{Params, Session};
use crate::settings::Settings;
use crate::sql::Sql;

use connector::Connector;
use lease::{Reader, Reading};
use places::{Place, Places};

pub(crate) use lease::Pooled;

/// A connection that was idle for longer is checked before it is used.
const TRUSTED_WHEN_IDLE: Duration = Duration::from_secs(1);
/// How long to wait for the answer to that check.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Reads share a connection while it answers this promptly, although other connections are free: client and server
/// then receive and send several statements and answers at once. Slower reads use separate connections and run in
/// parallel.
const PROMPT: Duration = Duration::from_millis(1);
/// The number of reads that share one connection while others are free.
const READERS: usize = 8;
/// A connection that has not answered for longer may never answer again: no further read joins it.
const LONGEST_SILENCE: Duration = Duration::from_millis(100);
/// How long a read waits for those that were sent before it on the same connection, which may wait for a lock on
/// another table. After that it is sent again on another connection.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(1);

/// The pool of connections to one database.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    connector: Connector,
    limits: Limits,
    /// The settings of the sessions, as an SQL expression.
    settings: String,
    places: Places,
    /// The most recently used connection is used first, so that connections that are not needed stay unused.
    idle: Mutex<Vec<Session>>,
    /// The connections that serve reads of single rows, or did so recently.
    readers: Mutex<Vec<Weak<Reader>>>,
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Weak<Reader>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    pub(crate) fn new(settings: Settings, ambient: Ambient) -> Result<Self> {
        let limits = Limits::new(settings.statement_timeout);
        let places = Places::new(settings.max_connections);
        let connector = Connector::new(settings, ambient)?;
        let (settings, idle, readers) = (limits.of_pool(), Mutex::default(), Mutex::default());
        Ok(Self { shared: Arc::new(Shared { connector, limits, settings, places, idle, readers }) })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Returns a connection: an idle one if there is one, else a new one. `table` is the table that the caller
    /// reads or writes, if it is mainly one.
    pub(crate) async fn session(&self, table: Option<&'static str>) -> Outcome<Pooled> {
        let place = match self.free_place(table) {
            Some(place) => place,
            None => self.shared.places.next(table).await.ok_or_else(|| self.is_full())?,
        };
        let session = self.lease().await?;
        Ok(Pooled::new(session, self.shared.clone(), Some(place)))
    }

    /// Reads one row, on a connection that other reads may share. Callers that already wait for a connection of
    /// their own have priority.
    pub(crate) async fn read_row(
        &self,
        table: &'static str,
        sql: &Sql,
        params: Params<'_>,
    ) -> Outcome<Vec<Row>> {
        let reading = self.reader(Some(table)).await?;
        if !reading.is_joined {
            return Ok(reading.query(sql, params).await?);
        }
        if let Ok(rows) = timeout(OTHERS_TIMEOUT, reading.query(sql, params)).await {
            return Ok(rows?);
        }
        drop(reading);
        Ok(self.new_reader(Some(table)).await?.query(sql, params).await?)
    }

    /// Checks whether the server answers.
    pub(crate) async fn ping(&self) -> Outcome<()> {
        let reading = self.reader(None).await?;
        if reading.is_joined
            && timeout(LONGEST_SILENCE, reading.check()).await.is_ok_and(|answer| answer.is_ok())
        {
            return Ok(());
        }
        if reading.is_joined {
            drop(reading);
            return Ok(self.new_reader(None).await?.check().await?);
        }
        Ok(reading.check().await?)
    }

    /// Returns a connection for reading one row, which other reads may share.
    async fn reader(&self, table: Option<&'static str>) -> Outcome<Reading> {
        match self.joined_reader(table, PROMPT, READERS) {
            Some(reading) => Ok(reading),
            None => self.new_reader(table).await,
        }
    }

    /// Like [`reader`](Self::reader), but joins other reads only if no connection is free.
    async fn new_reader(&self, table: Option<&'static str>) -> Outcome<Reading> {
        let places = &self.shared.places;
        let place = match self.free_place(table) {
            Some(place) => place,
            None => match self.joined_reader(table, LONGEST_SILENCE, usize::MAX) {
                Some(reading) => return Ok(reading),
                None => match places.free_in_reserve(table) {
                    Some(place) => place,
                    None => places.next_of_all(table).await.ok_or_else(|| self.is_full())?,
                },
            },
        };
        let session = self.lease().await?;
        let reader = Arc::new(Reader::new(session, self.shared.clone(), place, table));
        let mut readers = self.shared.readers();
        readers.retain(|reader| reader.strong_count() > 0);
        readers.push(Arc::downgrade(&reader));
        Ok(Reading::first(reader, table))
    }

    /// Returns the least used among the connections that serve fewer than `readers` reads and have answered within
    /// `silence`.
    fn joined_reader(
        &self,
        table: Option<&'static str>,
        silence: Duration,
        readers: usize,
    ) -> Option<Reading> {
        let are_scarce = self.shared.places.are_scarce();
        let candidates = self.shared.readers();
        let candidates = candidates.iter().filter(|reader| reader.strong_count() < readers);
        let candidates = candidates.filter_map(Weak::upgrade);
        let mut answering: Vec<_> = candidates
            .filter(|reader| reader.is_reserved || !are_scarce)
            .filter(|reader| reader.is_clean() && reader.silence() < silence)
            .collect();
        answering.sort_by_key(Arc::strong_count);
        answering.into_iter().find_map(|reader| reader.join(table))
    }

    fn free_place(&self, table: Option<&'static str>) -> Option<Place> {
        self.shared.places.free(table)
    }

    fn is_full(&self) -> Fault {
        tracing::warn!(
            max_connections = self.shared.connector.settings.max_connections,
            "all connections to PostgreSQL that this call may use are in use; look for slow statements and locks, or \
             raise max_connections"
        );
        Fault::Final(Error::Throttled { after: None })
    }

    /// Returns an idle session that is alive, or a new one.
    async fn lease(&self) -> Outcome<Session> {
        let Connector { ambient, .. } = &self.shared.connector;
        let now = ambient.now();
        loop {
            let idle = self.shared.idle().pop();
            let Some(session) = idle else { break };
            if session.is_clean() && (is_trusted(&session, now) || is_alive(&session).await) {
                return Ok(session);
            }
        }
        self.shared.connector.start(&self.shared.settings).await
    }

    /// Opens a connection outside the pool, for statements that may read whole tables.
    pub(crate) async fn connect(&self) -> Outcome<Pooled> {
        let session = self.shared.connector.start(&Limits::of_migration()).await?;
        Ok(Pooled::new(session, self.shared.clone(), None))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("settings", &self.shared.connector.settings).finish_non_exhaustive()
    }
}

/// Whether a session was used so recently that it needs no check. Compares both clocks, because the monotonic
/// clock may have stopped while the machine was frozen, and the wall clock may have been set.
fn is_trusted(session: &Session, now: Timestamp) -> bool {
    let (used_at, instant) = session.used_at;
    instant.elapsed() < TRUSTED_WHEN_IDLE && now >= used_at && now - used_at < TRUSTED_WHEN_IDLE
}

async fn is_alive(session: &Session) -> bool {
    matches!(timeout(ALIVE_TIMEOUT, session.check()).await, Ok(Ok(())))
}
