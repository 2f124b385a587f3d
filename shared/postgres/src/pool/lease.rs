//! Connections in use.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::Shared;
use super::abandoned;
use super::places::{Entry, Place};
use crate::session::Session;

/// A connection of the pool for one caller. When dropped, it returns to the pool, unless a transaction is still
/// open or the server is read-only. If the caller has gone before the answer, the statement is cancelled first; the
/// connection counts as used until then.
pub(crate) struct Pooled {
    session: Option<Session>,
    shared: Arc<Shared>,
    /// `None` for a connection that does not belong to the pool.
    place: Option<Place>,
}

impl Pooled {
    pub(super) fn new(session: Session, shared: Arc<Shared>, place: Option<Place>) -> Self {
        Self { session: Some(session), shared, place }
    }
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
        let Some(session) = self.session.take() else { return };
        let (shared, place) = (self.shared.clone(), self.place.take());
        if session.is_read_only() {
            // The other idle connections go to the same server. If there is another server, new connections may
            // reach it.
            shared.idle().clear();
        } else if session.has_answered() {
            put_back(session, &shared, place);
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Some(session) = abandoned::finish(session, &shared.connector.tls).await {
                    put_back(session, &shared, place);
                }
            });
        }
    }
}

/// Returns a session to the pool if another caller may use it, and then frees its place.
fn put_back(mut session: Session, shared: &Shared, place: Option<Place>) {
    if place.is_some() && session.is_clean() {
        session.used_at = (shared.connector.ambient.now(), Instant::now());
        shared.idle().push(session);
    }
}

/// A connection for reads of single rows, which several callers share. If all of them have gone before the answer,
/// the statements are cancelled.
pub(super) struct Reader {
    pooled: Pooled,
    /// Whether it belongs to the reserve, for which only such reads wait.
    pub(super) is_reserved: bool,
    /// The tables that are being read on this connection.
    tables: Mutex<Vec<Presence>>,
}

/// The reads of a table on a connection.
struct Presence {
    table: &'static str,
    reads: usize,
    _share: Option<Entry>,
}

impl Reader {
    /// A reader on which a table is read first.
    pub(super) fn new(
        session: Session,
        shared: Arc<Shared>,
        mut place: Place,
        table: Option<&'static str>,
    ) -> Self {
        let share = place.take_share();
        let presence = table.map(|table| Presence { table, reads: 1, _share: share });
        let is_reserved = place.is_reserved;
        let tables = Mutex::new(presence.into_iter().collect());
        Self { pooled: Pooled::new(session, shared, Some(place)), is_reserved, tables }
    }

    fn tables(&self) -> MutexGuard<'_, Vec<Presence>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a read of a table. Returns `None` if the table already has its share of the connections.
    pub(super) fn join(self: Arc<Self>, table: Option<&'static str>) -> Option<Reading> {
        if let Some(table) = table {
            let mut tables = self.tables();
            if let Some(presence) = tables.iter_mut().find(|presence| presence.table == table) {
                presence.reads += 1;
            } else {
                let share = self.pooled.shared.places.free_share(self.is_reserved, table)?;
                tables.push(Presence { table, reads: 1, _share: Some(share) });
            }
        }
        Some(Reading { reader: self, table, is_joined: true })
    }
}

impl Deref for Reader {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.pooled
    }
}

/// The use of a connection for one read.
pub(crate) struct Reading {
    pub(super) reader: Arc<Reader>,
    table: Option<&'static str>,
    /// Whether other reads were using the connection.
    pub(super) is_joined: bool,
}

impl Reading {
    pub(super) fn first(reader: Arc<Reader>, table: Option<&'static str>) -> Self {
        Self { reader, table, is_joined: false }
    }
}

impl Deref for Reading {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.reader
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let Some(table) = self.table else { return };
        let mut tables = self.reader.tables();
        let place = tables.iter().position(|presence| presence.table == table);
        if let Some(place) = place {
            tables[place].reads -= 1;
            if tables[place].reads == 0 {
                tables.swap_remove(place);
            }
        }
    }
}
