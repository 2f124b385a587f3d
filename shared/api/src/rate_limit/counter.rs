use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Db, Entity, Error, Field, Result, retry};
use tokio::time::{Instant, timeout_at};

/// How many requests of one subject were counted in one window. An instance adds what it takes, also beyond the quota, and
/// learns the sum.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RateWindow {
    id: String,
    used: i64,
    ends_at: Timestamp,
}

/// How far the clock of an instance may be behind the others. A window is kept that long after its end: if it was removed
/// earlier, such an instance would begin it again, with a full quota.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

impl Entity for RateWindow {
    const COLLECTION: &'static Collection = &Collection::new("rate_windows")
        .fields(&[Field::integer("used"), Field::time("ends_at")])
        .tally("used")
        .expiring();

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.ends_at + CLOCK_SKEW)
    }
}

/// Why the store did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotCounted {
    /// It was not asked, or it has refused. Nothing was added.
    Certainly,
    /// It did not answer in time.
    Perhaps,
}

/// What is counted in the store, and how patient the caller may be with it.
///
/// Counting must not cost more than what it guards. So a request waits for the store for `timeout` only. After that, or
/// after an error, no request asks the store for [`PAUSE`]; then a single one does, until the store answers again.
#[derive(Debug)]
pub(super) struct Counter {
    timeout: Duration,
    /// After a failure: when the store is asked again.
    asked_again_at: Mutex<Option<Instant>>,
}

/// How long a store is left alone that did not answer.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// The right to ask the store once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The store has answered the last time.
    Trusting,
    /// It has not. Whatever is added now may be lost, so it should be little.
    Probing,
}

impl Counter {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, asked_again_at: Mutex::default() }
    }

    /// Returns `None` if the store is to be left alone.
    pub(super) fn turn(&self) -> Option<Turn> {
        let mut asked_again_at = self.lock();
        match *asked_again_at {
            None => Some(Turn::Trusting),
            Some(time) if Instant::now() < time => None,
            Some(_) => {
                *asked_again_at = Some(Instant::now() + PAUSE);
                Some(Turn::Probing)
            }
        }
    }

    /// Adds requests to the window `id`. Returns how many were counted in it by all instances.
    pub(super) async fn add(
        &self,
        db: &Db,
        id: String,
        requests: u32,
        ends_at: Timestamp,
    ) -> Result<u32, NotCounted> {
        let window = RateWindow { id, used: requests.into(), ends_at };
        let deadline = Instant::now() + self.timeout;
        let windows = db.collection::<RateWindow>();
        let added = timeout_at(deadline, retry::within(deadline, windows.add(&window))).await;
        let (cause, failure) = match added {
            Ok(Ok(used)) => {
                *self.lock() = None;
                return Ok(u32::try_from(used.max(0)).unwrap_or(u32::MAX));
            }
            Ok(Err(cause @ Error::OutcomeUnknown(_))) => (cause.to_string(), NotCounted::Perhaps),
            Ok(Err(cause)) => (cause.to_string(), NotCounted::Certainly),
            Err(_elapsed) => ("the database takes too long".to_owned(), NotCounted::Perhaps),
        };
        *self.lock() = Some(Instant::now() + PAUSE);
        tracing::warn!(cause, "requests are counted by this instance alone under the rate limits");
        Err(failure)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.asked_again_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
