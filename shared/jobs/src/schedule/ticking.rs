//! Storing the jobs of ticks. Every worker looks; one transaction for each tick decides.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use switchyard_ambient::Timestamp;
use switchyard_database::{Cause as Rejected, Db, Error, Transaction};
use switchyard_kernel::Cause;

use super::record::{Definition, ScheduleRecord};
use super::{Overlap, Schedule};
use crate::Outbox;
use crate::record::{JobRecord, Tick};

/// How often a worker looks for ticks.
pub(crate) const LOOK: Duration = Duration::from_secs(15);

/// When each schedule has its next tick, as far as this worker knows: until then it need not ask. Another worker can only
/// have moved it forward.
#[derive(Debug, Default)]
pub(crate) struct NextTicks(Mutex<HashMap<String, Timestamp>>);

impl NextTicks {
    fn is_ahead(&self, id: &str, now: Timestamp) -> bool {
        let next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        next.get(id).is_some_and(|&tick| tick > now)
    }

    fn note(&self, id: String, tick: Option<Timestamp>) {
        if let Some(tick) = tick {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, tick);
        }
    }
}

/// Stores the jobs of all ticks until now.
pub(crate) async fn look(db: &Db, outbox: &Outbox, schedules: &[Schedule], next_ticks: &NextTicks) {
    for schedule in schedules {
        let (id, now) = (schedule.state_id(), db.ambient().now());
        if next_ticks.is_ahead(&id, now) {
            continue;
        }
        let moved = db.transact(|tx| {
            let (id, outbox) = (id.clone(), outbox.clone());
            async move { advance(&tx, &outbox, schedule, &id, now).await }
        });
        match moved.await {
            Ok(next) => next_ticks.note(id, next),
            // Another worker was first, which is as good.
            Err(Error::Contended) => {}
            Err(fault) if fault.is_rejection_for(Rejected::AlreadyExists) => {}
            Err(fault) => {
                tracing::warn!(schedule = schedule.name, %fault, "the ticks of a schedule are late");
            }
        }
    }
}

/// Moves a schedule to its next tick, and stores the jobs of those until now. Returns the next tick.
async fn advance(
    tx: &Transaction,
    outbox: &Outbox,
    schedule: &Schedule,
    id: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let next_tick = schedule.cron.next_after(now);
    let template = schedule.template.clone()?;
    let definition = Some(Definition {
        expression: schedule.cron.expression().to_owned(),
        time_zone: schedule.cron.time_zone().to_owned(),
        template: template.clone(),
    });
    let Some(stored) = tx.get::<ScheduleRecord>(id).await? else {
        // It begins now: what was before is not caught up with.
        let (id, name) = (id.to_owned(), schedule.name.to_owned());
        let (paused, created_at, last_tick, last_job) = (false, now, None, None);
        tx.insert(&ScheduleRecord {
            id,
            name,
            definition,
            paused,
            created_at,
            next_tick,
            last_tick,
            last_job,
        })?;
        return Ok(next_tick);
    };
    let Some(due_since) = stored.next_tick.filter(|&tick| tick <= now) else { return Ok(stored.next_tick) };
    let before = due_since - Duration::from_micros(1);
    let due = schedule.cron.due(before, now, schedule.catch_up);
    let mut after = ScheduleRecord { definition, next_tick, ..(*stored).clone() };
    let is_paused = tx.get::<ScheduleRecord>(schedule.name).await?.is_some_and(|record| record.paused);
    let runs = !is_paused && (schedule.overlap == Overlap::Allow || !is_busy(tx, &stored).await?);
    if runs {
        let mut missed = due.skipped;
        for at in due.ticks {
            let tick = Tick { schedule: schedule.name.to_owned(), at, missed: std::mem::take(&mut missed) };
            // Two definitions of one schedule give one job for a tick.
            let job = format!("cron:{}:{}", schedule.name, at.as_millis());
            let cause = Cause::system(schedule.name);
            let enqueued =
                outbox.enqueue_template(tx, cause, Ok(template.clone())).of_tick(tick).id(job).await?;
            after.last_tick = Some(at);
            after.last_job = Some(enqueued.id);
        }
    }
    tx.replace(&stored, &after)?;
    Ok(next_tick)
}

/// Whether the job of the last tick has not ended.
async fn is_busy(tx: &Transaction, schedule: &ScheduleRecord) -> Result<bool, Error> {
    let Some(id) = &schedule.last_job else { return Ok(false) };
    Ok(tx.get::<JobRecord>(id).await?.is_some_and(|job| !job.state.is_final()))
}
