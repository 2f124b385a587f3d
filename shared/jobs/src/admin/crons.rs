//! Schedules: listing, pausing and running them by hand.

use std::collections::BTreeMap;

use deserr::Deserr;
use serde::Serialize;
use switchyard_ambient::Timestamp;
use switchyard_database::limits::MAX_PAGE;
use switchyard_database::{Entity as _, Error, Query};
use switchyard_kernel::{AuditEvent, Context, Faults, Refused, rfc3339};
use utoipa::ToSchema;

use super::{JOBS_READ, JOBS_WRITE, Jobs, JobsError, accepted_before, actions};
use crate::Enqueued;
use crate::schedule::record::ScheduleRecord;

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cron {
    /// The name.
    #[schema(example = "identity.expiring_keys")]
    pub name: String,
    /// The cron expression.
    #[schema(example = "0 7 * * *")]
    pub expression: String,
    /// The time zone in which it is read.
    #[schema(example = "Africa/Lagos")]
    pub timezone: String,
    /// When its job runs next.
    #[serde(serialize_with = "rfc3339::serialize_option")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
    /// The last tick that had a job.
    #[serde(serialize_with = "rfc3339::serialize_option")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub last_at: Option<Timestamp>,
    /// The job of that tick.
    #[schema(required)]
    pub last_job_id: Option<String>,
    /// Whether its ticks have no jobs.
    pub paused: bool,
}

/// What can be changed of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub struct CronFields {
    /// Whether its ticks have no jobs.
    pub paused: bool,
}

/// All schedules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Crons {
    /// The schedules, by name.
    pub data: Vec<Cron>,
}

impl Jobs {
    /// Lists the schedules that workers have declared. Requires `jobs:read`.
    pub async fn crons(&self, context: &Context) -> Result<Crons, JobsError> {
        self.kernel.require(context, JOBS_READ, "crons").await?;
        let records = self.schedule_records().await?;
        Ok(Crons { data: records.values().map(|(record, paused)| shown(record, *paused)).collect() })
    }

    /// Pauses a schedule, or resumes it. Requires `jobs:write`.
    pub async fn edit_cron(
        &self,
        context: &Context,
        name: &str,
        edit: impl Fn(&CronFields) -> Result<CronFields, Faults>,
    ) -> Result<Cron, JobsError> {
        let context = &self.kernel.require_current(context, JOBS_WRITE, &resource(name)).await?;
        let (record, _) = self.schedule_record(name).await?;
        let edit = &edit;
        let paused = self
            .transact(context, |tx| async move {
                let stored = tx.get::<ScheduleRecord>(name).await?;
                let present = CronFields { paused: stored.is_some() };
                let paused = edit(&present)?.paused;
                match &stored {
                    Some(stored) if !paused => tx.delete(stored)?,
                    None if paused => drop(tx.insert(&ScheduleRecord::paused(name, context.now))?),
                    _ => {}
                }
                let action = if paused { actions::CRON_PAUSED } else { actions::CRON_RESUMED };
                tx.record(AuditEvent::new(action).resource(resource(name)));
                Ok::<_, JobsError>(paused)
            })
            .await?;
        Ok(shown(&record, paused))
    }

    /// Runs the job of a schedule now, beside its ticks. Requires `jobs:write`.
    pub async fn run_cron(&self, context: &Context, name: &str) -> Result<Enqueued, JobsError> {
        let context = &self.kernel.require_current(context, JOBS_WRITE, &resource(name)).await?;
        if let Some(before) = accepted_before(context) {
            return Ok(before);
        }
        let (record, _) = self.schedule_record(name).await?;
        let template = record.definition.map(|definition| definition.template).ok_or(Refused::NotFound)?;
        self.accept(context, &Ok(template), &AuditEvent::new(actions::CRON_RUN).detail("cron", name)).await
    }

    async fn schedule_record(&self, name: &str) -> Result<(ScheduleRecord, bool), JobsError> {
        let mut records = self.schedule_records().await?;
        Ok(records.remove(name).ok_or(Refused::NotFound)?)
    }

    /// The latest definition of each schedule, by its name, and whether the schedule is paused.
    async fn schedule_records(&self) -> Result<BTreeMap<String, (ScheduleRecord, bool)>, Error> {
        let query = Query::new(ScheduleRecord::COLLECTION, ScheduleRecord::BY_NAME).limit(MAX_PAGE);
        let stored = self.kernel.db().collection::<ScheduleRecord>().query(&query).await?.items;
        let (definitions, pauses): (Vec<_>, Vec<_>) =
            stored.into_iter().partition(|record| record.definition.is_some());
        let mut records = BTreeMap::<String, (ScheduleRecord, bool)>::new();
        for record in definitions {
            let is_older = |(known, _): &(ScheduleRecord, bool)| known.created_at > record.created_at;
            if !records.get(&record.name).is_some_and(is_older) {
                let paused = pauses.iter().any(|pause| pause.name == record.name);
                records.insert(record.name.clone(), (record.into_value(), paused));
            }
        }
        Ok(records)
    }
}

fn shown(record: &ScheduleRecord, paused: bool) -> Cron {
    let definition = record.definition.as_ref();
    let text = |of: Option<&String>| of.cloned().unwrap_or_default();
    Cron {
        name: record.name.clone(),
        expression: text(definition.map(|definition| &definition.expression)),
        timezone: text(definition.map(|definition| &definition.time_zone)),
        next_at: record.next_tick,
        last_at: record.last_tick,
        last_job_id: record.last_job.clone(),
        paused,
    }
}

fn resource(name: &str) -> String {
    format!("crons/{name}")
}
