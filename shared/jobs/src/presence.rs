//! Which workers there are.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Db, Entity, Error, Field, Index, Query};

use crate::worker::Core;

/// How often a worker shows that it is there, and when it counts as gone.
pub(crate) const BEAT: Duration = Duration::from_secs(10);
const GONE_AFTER: Duration = Duration::from_secs(60);

/// A worker that is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WorkerRecord {
    pub(crate) id: String,
    pub(crate) started_at: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    /// The number of jobs that it runs.
    pub(crate) running: u64,
}

impl Entity for WorkerRecord {
    const COLLECTION: &'static Collection = &Collection::new("job_workers")
        .fields(&[Field::time("last_seen_at")])
        .indexes(&[Index::new("by_last_seen").sort(&["last_seen_at"]).shards(1)])
        .expiring();

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.last_seen_at + GONE_AFTER)
    }
}

/// The workers that have shown themselves within the last minute, the latest first.
pub(crate) async fn present(db: &Db) -> Result<Vec<WorkerRecord>, Error> {
    let since = db.ambient().now() - GONE_AFTER;
    let query =
        Query::new(WorkerRecord::COLLECTION, "by_last_seen").at_least([since.as_micros()]).descending();
    let page = db.collection::<WorkerRecord>().query(&query).await?;
    Ok(page.items.into_iter().map(|worker| worker.into_value()).collect())
}

/// The presence of one worker.
pub(crate) struct Presence {
    started_at: Timestamp,
}

impl Presence {
    pub(crate) fn of(core: &Core) -> Self {
        Self { started_at: core.db.ambient().now() }
    }

    /// Shows that the worker is there, and looks whether there are others. What fails is tried again at the next beat.
    pub(crate) async fn beat(&self, core: &Core, running: usize) {
        let last_seen_at = core.db.ambient().now();
        let running = u64::try_from(running).unwrap_or(u64::MAX);
        let record = WorkerRecord { id: core.id.clone(), started_at: self.started_at, last_seen_at, running };
        let record = &record;
        let stored = core
            .db
            .transact(|tx| async move {
                match tx.get::<WorkerRecord>(&record.id).await? {
                    Some(stored) => tx.replace(&stored, record).map(drop),
                    None => tx.insert(record).map(drop),
                }
            })
            .await;
        let others = present(&core.db).await.map(|workers| workers.iter().any(|worker| worker.id != core.id));
        match (stored, others) {
            (Ok::<(), Error>(()), Ok(others)) => core.has_company.store(others, Ordering::Relaxed),
            (stored, others) => {
                let fault = stored.err().or(others.err());
                tracing::debug!(?fault, "the presence of the worker is stored later");
            }
        }
    }

    /// Removes the worker from the list.
    pub(crate) async fn end(&self, core: &Core) {
        let removed = core
            .db
            .transact(|tx| async move {
                if let Some(stored) = tx.get::<WorkerRecord>(&core.id).await? {
                    tx.delete(&stored)?;
                }
                Ok::<_, Error>(())
            })
            .await;
        if let Err(fault) = removed {
            tracing::debug!(%fault, "the presence of the worker ends by itself");
        }
    }
}
