//! How a job is stored, and how it gets from one state to the next.

mod state;
mod transition;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field, Index, Unique};
use switchyard_kernel::Cause;
use utoipa::ToSchema;

use crate::Priority;

pub use state::JobState;
pub(crate) use transition::{Keeping, Next, Settlement};

/// How long after the end of its lease a job is taken over. The clocks of two workers may differ by this time without both
/// running the job.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(30);

/// The number of failures that are kept with a job.
const KEPT_ERRORS: usize = 5;
/// The length of a failure's message that is kept, in bytes.
const MAX_MESSAGE_BYTES: usize = 500;

/// A stored job.
///
/// Each of its writes pays for its size, so what is absent is not stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JobRecord {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// The version of the payload.
    pub(crate) version: u16,
    pub(crate) state: JobState,
    /// The place of the job in the index, together with `at`.
    pub(crate) lane: i64,
    /// When it is due, when its lease ends, or when it ended: by its state.
    pub(crate) at: Timestamp,
    pub(crate) priority: Priority,
    /// Grows with each claim, so that a worker knows whether the job is still its own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) attempt: u32,
    /// The claims that are not counted as attempts: those that were given back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) uncounted: u32,
    pub(crate) max_attempts: u32,
    /// How often it was put off since its provider was last asked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) parked: u32,
    /// After this time it is not tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) give_up_at: Option<Timestamp>,
    /// Since when no worker has known the kind or its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unknown_since: Option<Timestamp>,
    /// The worker that has it, or had it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) worker: Option<String>,
    /// Absent once another job may have the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dedupe_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dedupe: Option<DedupeScope>,
    /// The value as JSON text, or sealed. Absent once a sealed one has served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_sealed: bool,
    /// What the handler keeps between attempts, in the form of the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memo: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) progress: Option<Progress>,
    /// The result as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<String>,
    /// The last failures, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<AttemptError>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) cancel_requested: bool,
    pub(crate) cause: Cause,
    /// The tick of a schedule that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tick: Option<Tick>,
    pub(crate) created_at: Timestamp,
    /// When the latest attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) finished_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) forgotten_at: Option<Timestamp>,
}

/// Until when no other job may have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DedupeScope {
    Claim,
    End,
}

/// A time of a schedule, at which a job was due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The name of the schedule.
    pub schedule: String,
    /// The time.
    pub at: Timestamp,
    /// How many ticks before it had no job, because no worker ran or the schedule skips them.
    pub missed: usize,
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// The steps that are done.
    #[schema(example = 1200)]
    pub done: u64,
    /// The steps in all.
    #[schema(example = 5000)]
    pub total: u64,
}

/// Why an attempt failed, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttemptError {
    pub(crate) attempt: u32,
    pub(crate) at: Timestamp,
    pub(crate) code: String,
    pub(crate) message: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Entity for JobRecord {
    const COLLECTION: &'static Collection = &Collection::new("jobs")
        .fields(&[
            Field::string("kind").few_values(),
            Field::string("state").few_values(),
            Field::integer("lane").few_values(),
            Field::time("at"),
            Field::string("dedupe_key"),
        ])
        // One index holds everything, so that a job costs few writes of it. It is spread, so that no partition is hot.
        .indexes(&[Index::new(Self::BY_PLACE).sort(&["lane", "at"]).shards(16)])
        .uniques(&[Unique::new(Self::DEDUPE, &["dedupe_key"])])
        .expiring();

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.forgotten_at
    }
}

impl JobRecord {
    pub(crate) const BY_PLACE: &str = "by_place";
    pub(crate) const DEDUPE: &str = "dedupe";

    /// The attempts that count.
    pub(crate) fn counted_attempts(&self) -> u32 {
        self.attempt.saturating_sub(self.uncounted)
    }

    /// Whether a worker may take it now.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        match self.state {
            JobState::Queued | JobState::Retrying => self.at <= now,
            JobState::Running => self.at + CLOCK_SKEW <= now,
            JobState::Succeeded | JobState::Dead | JobState::Cancelled => false,
        }
    }

    /// Whether this is the attempt that `other` is, by the same worker.
    pub(crate) fn is_attempt_of(&self, other: &Self) -> bool {
        self.attempt == other.attempt && self.worker == other.worker
    }

    /// Whether attempts are left, and time for them.
    pub(crate) fn may_be_tried_again(&self, at: Timestamp) -> bool {
        self.counted_attempts() < self.max_attempts && self.give_up_at.is_none_or(|end| at <= end)
    }

    /// Keeps a failure, and forgets the oldest one beyond [`KEPT_ERRORS`].
    pub(crate) fn note(&mut self, failure: &Failure, now: Timestamp) {
        if self.errors.len() >= KEPT_ERRORS {
            self.errors.drain(..=self.errors.len() - KEPT_ERRORS);
        }
        self.errors.push(AttemptError {
            attempt: self.attempt,
            at: now,
            code: failure.code.clone(),
            message: failure.message.clone(),
        });
    }
}

/// What went wrong in an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Failure {
    /// A failure. A message that is too long is cut.
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let mut message = message.into();
        let mut end = message.len().min(MAX_MESSAGE_BYTES);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        Self { code: code.into(), message }
    }
}
