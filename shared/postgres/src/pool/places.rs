//! How many connections may be used, and by whom.
//!
//! A statement that waits for a lock, or a slow one, keeps its connection. If nothing prevented it, the callers
//! of one table would soon have all connections, and nothing else would be answered. So there are two limits:
//!
//! - A part of the connections is reserved for reads of single rows and for checks of the database, which are
//!   answered at once unless something is wrong with their table.
//! - The callers of one table have a share of each part. Those beyond it wait for the others of that table, not
//!   for a connection.
//!
//! A pool of a few connections has neither.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{Either, select};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// How long to wait for a connection if all are in use.
pub(super) const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// A number of places.
struct Gate {
    semaphore: Arc<Semaphore>,
    size: usize,
    /// Whether a caller has waited in vain, and no place has become free since. Others need not wait too: so a
    /// caller that tries again has waited once.
    is_stuck: AtomicBool,
}

impl Gate {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self { semaphore: Arc::new(Semaphore::new(size)), size, is_stuck: AtomicBool::new(false) })
    }

    fn try_enter(self: &Arc<Self>) -> Option<Entry> {
        let permit = self.semaphore.clone().try_acquire_owned().ok()?;
        Some(Entry { gate: self.clone(), _permit: permit })
    }

    /// Waits for a place. Returns `None` if none becomes free in time.
    async fn enter(self: &Arc<Self>, deadline: Instant) -> Option<Entry> {
        if let Some(entry) = self.try_enter() {
            return Some(entry);
        }
        if self.size == 0 || self.is_stuck.load(Ordering::Relaxed) {
            return None;
        }
        let Ok(Ok(permit)) = timeout_at(deadline, self.semaphore.clone().acquire_owned()).await else {
            self.is_stuck.store(true, Ordering::Relaxed);
            return None;
        };
        Some(Entry { gate: self.clone(), _permit: permit })
    }
}

/// A place that is taken until this is dropped.
pub(super) struct Entry {
    gate: Arc<Gate>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.gate.is_stuck.store(false, Ordering::Relaxed);
    }
}

/// The right to use one connection.
pub(super) struct Place {
    pub(super) is_reserved: bool,
    _connection: Entry,
    /// `None` for callers that concern no table.
    share: Option<Entry>,
}

impl Place {
    /// Takes the share out, for a connection on which several tables are read.
    pub(super) fn take_share(&mut self) -> Option<Entry> {
        self.share.take()
    }
}

/// The connections of one kind, and what each table may have of them.
struct Part {
    is_reserved: bool,
    connections: Arc<Gate>,
    share: usize,
    shares: Mutex<HashMap<&'static str, Arc<Gate>>>,
    /// The number of callers that wait for a connection.
    waiting: AtomicUsize,
}

impl Part {
    fn new(is_reserved: bool, size: usize, share: usize) -> Self {
        let (shares, waiting) = Default::default();
        Self { is_reserved, connections: Gate::new(size), share, shares, waiting }
    }

    fn share_of(&self, table: &'static str) -> Arc<Gate> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.entry(table).or_insert_with(|| Gate::new(self.share)).clone()
    }

    fn try_place(&self, table: Option<&'static str>) -> Option<Place> {
        let share = match table {
            Some(table) => Some(self.share_of(table).try_enter()?),
            None => None,
        };
        self.place(self.connections.try_enter()?, share)
    }

    async fn place_by(&self, deadline: Instant, table: Option<&'static str>) -> Option<Place> {
        let share = match table {
            Some(table) => Some(self.share_of(table).enter(deadline).await?),
            None => None,
        };
        let _waiting = Waiting::among(&self.waiting);
        self.place(self.connections.enter(deadline).await?, share)
    }

    #[expect(clippy::unnecessary_wraps, reason = "both callers return an option")]
    fn place(&self, connection: Entry, share: Option<Entry>) -> Option<Place> {
        Some(Place { is_reserved: self.is_reserved, _connection: connection, share })
    }
}

/// All connections of a pool.
pub(super) struct Places {
    general: Part,
    reserve: Part,
}

impl Places {
    pub(super) fn new(connections: usize) -> Self {
        let reserve = connections / 5;
        let general = connections - reserve;
        Self {
            general: Part::new(false, general, general - general / 4),
            reserve: Part::new(true, reserve, reserve.saturating_sub(1).max(1)),
        }
    }

    /// Whether callers wait for a connection that is not reserved.
    pub(super) fn are_scarce(&self) -> bool {
        self.general.waiting.load(Ordering::Relaxed) > 0
    }

    /// Returns a connection that is free now.
    pub(super) fn free(&self, table: Option<&'static str>) -> Option<Place> {
        self.general.try_place(table)
    }

    /// Returns a reserved connection that is free now.
    pub(super) fn free_in_reserve(&self, table: Option<&'static str>) -> Option<Place> {
        self.reserve.try_place(table)
    }

    /// Returns a part of the share of a table, for a read on a connection that is already in use.
    pub(super) fn free_share(&self, is_reserved: bool, table: &'static str) -> Option<Entry> {
        let part = if is_reserved { &self.reserve } else { &self.general };
        part.share_of(table).try_enter()
    }

    /// Waits for a connection.
    pub(super) async fn next(&self, table: Option<&'static str>) -> Option<Place> {
        self.general.place_by(Instant::now() + QUEUE_TIMEOUT, table).await
    }

    /// Waits for a connection, which may be a reserved one.
    pub(super) async fn next_of_all(&self, table: Option<&'static str>) -> Option<Place> {
        let deadline = Instant::now() + QUEUE_TIMEOUT;
        let general = pin!(self.general.place_by(deadline, table));
        let reserve = pin!(self.reserve.place_by(deadline, table));
        match select(general, reserve).await {
            Either::Left((Some(place), _)) | Either::Right((Some(place), _)) => Some(place),
            Either::Left((None, reserve)) => reserve.await,
            Either::Right((None, general)) => general.await,
        }
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

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_tries_a_full_pool_again_has_waited_once() {
        let places = Places::new(1);
        let taken = places.free(None).unwrap();
        let began = Instant::now();
        for _ in 0..6 {
            assert!(places.next(None).await.is_none());
            assert_eq!(began.elapsed(), QUEUE_TIMEOUT);
        }
        assert!(places.next_of_all(None).now_or_never().unwrap().is_none());
        // The pool works again, so it is worth while to wait.
        drop(taken);
        let taken = places.next(None).now_or_never().unwrap().unwrap();
        let mut waiting = pin!(places.next(None));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(taken);
        assert!(waiting.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_callers_of_one_table_leave_connections_to_others() {
        let places = Places::new(10);
        let users: Vec<_> = std::iter::from_fn(|| places.free(Some("users"))).collect();
        assert_eq!(users.len(), 6);
        let reserved: Vec<_> = std::iter::from_fn(|| places.free_in_reserve(Some("users"))).collect();
        assert_eq!(reserved.len(), 1);
        // Callers of the table that wait do not hold up those of other tables.
        let mut waiting = pin!(places.next(Some("users")));
        assert!(waiting.as_mut().now_or_never().is_none());
        let others: Vec<_> = std::iter::from_fn(|| places.free(Some("roles"))).collect();
        assert_eq!(others.len(), 2);
        assert!(places.free_in_reserve(Some("roles")).is_some());
        drop(others);
        assert!(places.next(Some("roles")).now_or_never().unwrap().is_some());
        drop(users);
        assert!(waiting.await.is_some());
    }

    #[test]
    fn a_small_pool_is_for_everybody() {
        for (connections, general, share) in
            [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 3), (5, 4, 3), (10, 8, 6)]
        {
            let places = Places::new(connections);
            let taken = |table| std::iter::from_fn(|| places.free(table)).collect::<Vec<_>>().len();
            assert_eq!((taken(None), taken(Some("users"))), (general, share), "{connections}");
        }
    }
}
