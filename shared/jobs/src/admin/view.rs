//! Jobs as the API shows them.

use serde::Serialize;
use serde_json::Value;
use switchyard_ambient::Timestamp;
use switchyard_kernel::{Cause, rfc3339};
use utoipa::ToSchema;

use crate::record::{JobRecord, Progress};
use crate::{Enqueued, JobState, Priority};

/// The state of a job, for the user who has caused it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct JobStatus {
    /// The id.
    #[schema(example = "0190a1b2-0000-7000-8000-000000000001")]
    pub id: String,
    /// The kind of job.
    #[schema(example = "jobs.retry_dead")]
    pub kind: String,
    /// The state.
    pub state: JobState,
    /// How far the job has come, if it says so.
    #[schema(required)]
    pub progress: Option<Progress>,
    /// The result of a job that has succeeded, if it has one.
    #[schema(required, value_type = Option<Object>)]
    pub result: Option<Value>,
    /// The code of the last failure, if the job is dead.
    #[schema(required, example = "TIMEOUT")]
    pub error: Option<String>,
    /// When the job was created.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(serialize_with = "rfc3339::serialize_option")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

/// A job that was stored: the answer to a request whose work is done later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AcceptedJob {
    /// The id of the job.
    #[schema(example = "0190a1b2-0000-7000-8000-000000000001")]
    pub job_id: String,
    /// Where the state of the job can be read.
    #[schema(example = "/api/v1/jobs/0190a1b2-0000-7000-8000-000000000001")]
    pub status_url: String,
}

impl From<Enqueued> for AcceptedJob {
    fn from(Enqueued { id, .. }: Enqueued) -> Self {
        Self { status_url: format!("/api/v1/jobs/{id}"), job_id: id }
    }
}

/// A failure of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct JobFailure {
    /// The number of the claim, from 1.
    #[schema(example = 1)]
    pub attempt: u32,
    /// When the attempt failed.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The code.
    #[schema(example = "TIMEOUT")]
    pub code: String,
    /// What went wrong.
    #[schema(example = "the attempt took longer than 300 s")]
    pub message: String,
}

/// A job, with everything that is stored of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobDetails {
    /// The id.
    #[schema(example = "0190a1b2-0000-7000-8000-000000000001")]
    pub id: String,
    /// The kind of job.
    #[schema(example = "jobs.retry_dead")]
    pub kind: String,
    /// The version of the payload.
    #[schema(example = 1)]
    pub version: u16,
    /// The state.
    pub state: JobState,
    /// How urgent the job is.
    pub priority: Priority,
    /// When the job is due, if it waits.
    #[serde(serialize_with = "rfc3339::serialize_option")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    /// Until when its worker has the job, if it runs.
    #[serde(serialize_with = "rfc3339::serialize_option")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub lease_until: Option<Timestamp>,
    /// How often workers have claimed the job.
    #[schema(example = 1)]
    pub attempt: u32,
    /// How many of these claims do not count as attempts.
    #[schema(example = 0)]
    pub uncounted: u32,
    /// How many attempts there are in all.
    #[schema(example = 10)]
    pub max_attempts: u32,
    /// How often the job was put off since its provider was last asked.
    #[schema(example = 0)]
    pub parked: u32,
    /// After this time the job is not tried again.
    #[serde(serialize_with = "rfc3339::serialize_option")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub give_up_at: Option<Timestamp>,
    /// The worker that has the job, or had it last.
    #[schema(required)]
    pub worker: Option<String>,
    /// Until when no other job may have the same key: the key, while it counts.
    #[schema(required)]
    pub dedupe_key: Option<String>,
    /// What the job is about; `null` if that is sealed.
    #[schema(required, value_type = Option<Object>)]
    pub payload: Option<Value>,
    /// Whether the payload is sealed.
    pub payload_sealed: bool,
    /// How far the job has come, if it says so.
    #[schema(required)]
    pub progress: Option<Progress>,
    /// The result of a job that has succeeded, if it has one.
    #[schema(required, value_type = Option<Object>)]
    pub result: Option<Value>,
    /// The last failures, the latest last.
    pub errors: Vec<JobFailure>,
    /// Whether somebody has asked its worker to stop.
    pub cancel_requested: bool,
    /// What has caused the job.
    pub cause: Cause,
    /// The schedule that has made the job.
    #[schema(required)]
    pub schedule: Option<String>,
    /// When the job was created.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the latest attempt began.
    #[serde(serialize_with = "rfc3339::serialize_option")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When the job ended.
    #[serde(serialize_with = "rfc3339::serialize_option")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

impl JobStatus {
    pub(super) fn of(job: &JobRecord) -> Self {
        let error = job.errors.last().filter(|_| job.state == JobState::Dead);
        Self {
            id: job.id.clone(),
            kind: job.kind.clone(),
            state: job.state,
            progress: job.progress,
            result: json(job.result.as_deref()),
            error: error.map(|error| error.code.clone()),
            created_at: job.created_at,
            finished_at: job.finished_at,
        }
    }
}

impl JobDetails {
    pub(super) fn of(job: &JobRecord) -> Self {
        let failures = job.errors.iter().map(|error| JobFailure {
            attempt: error.attempt,
            at: error.at,
            code: error.code.clone(),
            message: error.message.clone(),
        });
        Self {
            id: job.id.clone(),
            kind: job.kind.clone(),
            version: job.version,
            state: job.state,
            priority: job.priority,
            due_at: Some(job.at).filter(|_| job.state.is_waiting()),
            lease_until: Some(job.at).filter(|_| job.state == JobState::Running),
            attempt: job.attempt,
            uncounted: job.uncounted,
            max_attempts: job.max_attempts,
            parked: job.parked,
            give_up_at: job.give_up_at,
            worker: job.worker.clone(),
            dedupe_key: job.dedupe_key.clone(),
            payload: json(job.payload.as_deref().filter(|_| !job.is_sealed)),
            payload_sealed: job.is_sealed,
            progress: job.progress,
            result: json(job.result.as_deref()),
            errors: failures.collect(),
            cancel_requested: job.cancel_requested,
            cause: job.cause.clone(),
            schedule: job.tick.as_ref().map(|tick| tick.schedule.clone()),
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}

fn json(text: Option<&str>) -> Option<Value> {
    serde_json::from_str(text?).ok()
}
