//! How many jobs of each kind have ended, by the hour.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Consistency, Db, Entity, Error, Field, Stored};

use crate::JobState;

/// How long counts are kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const HOUR_SECONDS: i64 = 60 * 60;

/// The attempts of an hour that ended in one way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CountRecord {
    #[serde(skip)]
    id: String,
    count: i64,
    forgotten_at: Timestamp,
}

impl Entity for CountRecord {
    const COLLECTION: &'static Collection = &Collection::new("job_counts")
        .fields(&[Field::integer("count"), Field::time("forgotten_at")])
        .tally("count")
        .expiring();

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.forgotten_at)
    }
}

/// What a worker has counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// What is not stored yet.
    waiting: Mutex<BTreeMap<String, (i64, Timestamp)>>,
    /// The jobs that are dead, since the worker was created.
    dead: AtomicUsize,
}

/// The counted ends of an attempt: it succeeded, it failed and is tried again, the job is dead.
pub(crate) const COUNTED: [JobState; 3] = [JobState::Succeeded, JobState::Retrying, JobState::Dead];

impl Counts {
    pub(crate) fn add(&self, kind: &str, state: JobState, now: Timestamp) {
        if !COUNTED.contains(&state) {
            return;
        }
        if state == JobState::Dead {
            self.dead.fetch_add(1, Ordering::Relaxed);
        }
        let hour = hour_of(now);
        let mut counts = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entry(id_of(hour, kind, state)).or_insert((0, now + KEPT)).0 += 1;
    }

    /// The jobs that are dead, since the worker was created.
    pub(crate) fn dead(&self) -> usize {
        self.dead.load(Ordering::Relaxed)
    }

    /// Stores what was counted. What cannot be stored is counted the next time.
    pub(crate) async fn store(&self, db: &Db) {
        let counts = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for (id, (count, forgotten_at)) in counts {
            let record = CountRecord { id: id.clone(), count, forgotten_at };
            match db.collection::<CountRecord>().add(&record).await {
                // If it is not known whether it was counted: better one too few than one twice.
                Ok(_) | Err(Error::OutcomeUnknown(_)) => {}
                Err(fault) => {
                    tracing::debug!(%fault, "a count of jobs is stored later");
                    let mut counts = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    counts.entry(id).or_insert((0, forgotten_at)).0 += count;
                }
            }
        }
    }
}

/// The ends of the last 24 hours of each kind, in the order of [`COUNTED`].
pub(crate) async fn of_last_day(
    db: &Db,
    kinds: &[String],
    now: Timestamp,
) -> Result<Vec<[i64; COUNTED.len()]>, Error> {
    let hours: Vec<i64> = (0..24).map(|back| hour_of(now) - back).collect();
    let mut sums = Vec::with_capacity(kinds.len());
    for kind in kinds {
        let of_state = |state| hours.iter().map(move |&hour| id_of(hour, kind, state));
        let ids: Vec<String> = COUNTED.into_iter().flat_map(of_state).collect();
        let counts = db.collection::<CountRecord>().get_many(ids, Consistency::Eventual).await?;
        let mut of_states = counts.chunks(hours.len());
        let sum =
            |counts: &[Option<Stored<CountRecord>>]| counts.iter().flatten().map(|record| record.count).sum();
        sums.push(std::array::from_fn(|_| of_states.next().map(sum).unwrap_or_default()));
    }
    Ok(sums)
}

fn hour_of(time: Timestamp) -> i64 {
    time.as_seconds().div_euclid(HOUR_SECONDS)
}

fn id_of(hour: i64, kind: &str, state: JobState) -> String {
    format!("{hour}/{kind}/{}", state.as_str())
}
