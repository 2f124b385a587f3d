use std::collections::BTreeMap;

use futures::future::try_join_all;
use serde::Serialize;
use switchyard_ambient::Timestamp;
use switchyard_database::limits::MAX_PAGE;
use switchyard_database::{Db, Entity as _, Error, Query};
use switchyard_kernel::rfc3339;
use utoipa::ToSchema;

use crate::record::JobRecord;
use crate::{JobState, counts, presence};

/// The number of jobs up to which those in a state are counted.
const COUNTED_UP_TO: usize = 10_000;

/// What there is to do, and who does it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct JobStats {
    /// The jobs in each state.
    pub states: BTreeMap<&'static str, StateStats>,
    /// How long the job that has been due for longest has waited, in seconds.
    #[schema(example = 0.4)]
    pub lag_seconds: f64,
    /// How the attempts of the last 24 hours ended, for each kind of which there were some.
    pub kinds: Vec<KindStats>,
    /// The workers that have been seen within the last minute.
    pub workers: Vec<WorkerStats>,
}

/// The jobs in a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StateStats {
    /// The number of jobs, up to 10,000.
    #[schema(example = 12)]
    pub count: usize,
    /// Whether that is all of them.
    pub exact: bool,
    /// When the first of those that wait is due.
    #[serde(serialize_with = "rfc3339::serialize_option")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub oldest_due_at: Option<Timestamp>,
}

/// How the attempts at jobs of a kind ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct KindStats {
    /// The kind.
    #[schema(example = "jobs.retry_dead")]
    pub kind: String,
    /// The jobs that succeeded.
    pub succeeded_24h: i64,
    /// The attempts that failed and are repeated.
    pub failed_24h: i64,
    /// The jobs that are dead.
    pub dead_24h: i64,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkerStats {
    /// The id: host, process, and a random part.
    #[schema(example = "web-1:4711:9f86d081")]
    pub id: String,
    /// When it started.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it was last seen.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub last_seen_at: Timestamp,
    /// The number of jobs that it ran then.
    pub running: u64,
}

pub(super) async fn stats(db: &Db, kinds: &[String]) -> Result<JobStats, Error> {
    let now = db.ambient().now();
    let of_states = try_join_all(JobState::ALL.map(|state| of_state(db, state)));
    let (of_states, of_kinds, workers) =
        tokio::try_join!(of_states, counts::of_last_day(db, kinds, now), presence::present(db))?;
    let waiting = of_states.iter().filter_map(|state| state.oldest_due_at);
    let lag = waiting.map(|due| now.since(due)).max().unwrap_or_default();
    let of_kinds = kinds.iter().zip(of_kinds).filter(|(_, ends)| ends.iter().any(|&count| count > 0));
    Ok(JobStats {
        states: JobState::ALL.map(JobState::as_str).into_iter().zip(of_states).collect(),
        lag_seconds: lag.as_secs_f64(),
        kinds: of_kinds
            .map(|(kind, [succeeded_24h, failed_24h, dead_24h])| KindStats {
                kind: kind.clone(),
                succeeded_24h,
                failed_24h,
                dead_24h,
            })
            .collect(),
        workers: workers
            .into_iter()
            .map(|worker| WorkerStats {
                id: worker.id,
                started_at: worker.started_at,
                last_seen_at: worker.last_seen_at,
                running: worker.running,
            })
            .collect(),
    })
}

async fn of_state(db: &Db, state: JobState) -> Result<StateStats, Error> {
    let (mut count, mut oldest, mut cursor) = (0, None::<Timestamp>, None);
    for lane in state.lanes() {
        loop {
            let query =
                Query::new(JobRecord::COLLECTION, JobRecord::BY_PLACE).at_least([lane]).at_most([lane]);
            let page = db.collection::<JobRecord>().query(&query.limit(MAX_PAGE).after(cursor)).await?;
            count += page.items.len();
            let first = page.items.first().map(|job| job.at).filter(|_| state.is_waiting());
            oldest = [oldest, first].into_iter().flatten().min();
            cursor = page.next;
            if count >= COUNTED_UP_TO {
                return Ok(StateStats { count: COUNTED_UP_TO, exact: false, oldest_due_at: oldest });
            }
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(StateStats { count, exact: true, oldest_due_at: oldest })
}
