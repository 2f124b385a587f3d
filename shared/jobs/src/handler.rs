//! Doing jobs: handlers, and the registry of those that a worker has.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use serde::Serialize;
use switchyard_database::Error as DatabaseError;

use crate::payload::{MAX_RESULT_BYTES, json};
use crate::record::{Failure, Settlement};
use crate::schedule::Schedule;
use crate::{Job, JobOptions, Run};

/// Does the jobs of one kind.
///
/// A job runs at least once. Its effect happens once if the handler does one of two things: it completes the job in the
/// transaction of the effect ([`Run::complete`]), or it gives [`Run::idempotency_key`] to the one that has the effect.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// The kind.
    type Job: Job;

    /// Does a job. The future may be dropped at any point where it waits: when the time for it is over, when the job is
    /// cancelled or another worker has it, and when the program ends.
    async fn run(&self, job: Self::Job, run: &Run) -> Result<Done, JobError>;
}

/// A job was done, or a part of it.
#[derive(Debug)]
pub struct Done(End);

#[derive(Debug)]
enum End {
    /// The result as JSON text.
    Succeeded(Option<String>),
    Completed,
    Part,
}

impl Done {
    /// The job is done.
    pub fn new() -> Self {
        Self(End::Succeeded(None))
    }

    /// The job is done, and this is its result: the user who caused the job may read it. At most [`MAX_RESULT_BYTES`] of JSON.
    ///
    /// # Errors
    ///
    /// [`JobError::Fatal`] if `result` has no JSON form, or a longer one.
    pub fn with(result: impl Serialize) -> Result<Self, JobError> {
        match json(&result, MAX_RESULT_BYTES, "the result of a job") {
            Ok(text) => Ok(Self(End::Succeeded(Some(text)))),
            Err(fault) => Err(JobError::fatal("RESULT", fault.to_string())),
        }
    }

    /// The job was completed in a transaction of the handler, with [`Run::complete`].
    pub fn completed() -> Self {
        Self(End::Completed)
    }

    /// A part is done, and [`Run::keep`] knows where to continue: the job is run again at once. This is no failed attempt.
    pub fn part() -> Self {
        Self(End::Part)
    }
}

impl Default for Done {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a job was not done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum JobError {
    /// The attempt failed, and another one may succeed.
    #[error("{cause}")]
    Retry {
        /// What went wrong. Admins can read it: it must not contain a secret.
        cause: String,
        /// The shortest pause before the next attempt, if the other side named one.
        after: Option<Duration>,
    },
    /// It is too early. This does not count as an attempt.
    #[error("{cause}")]
    Later {
        /// When to try again.
        after: Duration,
        /// Why. Admins can read it.
        cause: String,
    },
    /// No attempt can succeed.
    #[error("{code}: {cause}")]
    Fatal {
        /// A code, as in `ADDRESS_REFUSED`.
        code: &'static str,
        /// What is wrong. Admins can read it.
        cause: String,
    },
}

impl JobError {
    /// The attempt failed, and another one may succeed.
    pub fn retry(cause: impl Into<String>) -> Self {
        Self::Retry { cause: cause.into(), after: None }
    }

    /// It is too early.
    pub fn later(after: Duration, cause: impl Into<String>) -> Self {
        Self::Later { after, cause: cause.into() }
    }

    /// No attempt can succeed.
    pub fn fatal(code: &'static str, cause: impl Into<String>) -> Self {
        Self::Fatal { code, cause: cause.into() }
    }
}

/// A fault of the database is a reason to try again.
impl From<DatabaseError> for JobError {
    fn from(fault: DatabaseError) -> Self {
        Self::retry(fault.to_string())
    }
}

/// The longest pause that another side may ask for.
const MAX_ASKED_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// The result of an attempt, for the worker.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The job is settled in this way.
    Settle(Settlement),
    /// The handler has completed the job itself.
    Completed,
    /// The attempt failed: with this, and the shortest pause before the next one.
    Failed(Failure, Option<Duration>),
    /// The handler panicked.
    Panicked(Failure),
}

impl Outcome {
    fn of(result: Result<Done, JobError>) -> Self {
        match result {
            Ok(Done(End::Succeeded(result))) => Self::Settle(Settlement::Succeeded { result }),
            Ok(Done(End::Completed)) => Self::Completed,
            Ok(Done(End::Part)) => Self::Settle(Settlement::Again),
            Err(JobError::Retry { cause, after }) => {
                Self::Failed(Failure::new("FAILED", cause), after.map(|after| after.min(MAX_ASKED_PAUSE)))
            }
            Err(JobError::Later { after, cause }) => Self::Settle(Settlement::Later {
                failure: Failure::new("LATER", cause),
                after: after.min(MAX_ASKED_PAUSE),
            }),
            Err(JobError::Fatal { code, cause }) => Self::dead(code, cause),
        }
    }

    fn dead(code: &str, cause: impl Into<String>) -> Self {
        Self::Settle(Settlement::Dead { failure: Failure::new(code, cause) })
    }
}

/// A handler of any kind.
#[async_trait]
trait AnyHandler: Send + Sync {
    async fn run(&self, version: u16, payload: &str, run: &Run) -> Outcome;
}

#[async_trait]
impl<H: Handler> AnyHandler for H {
    async fn run(&self, version: u16, payload: &str, run: &Run) -> Outcome {
        let job = match read::<H::Job>(version, payload) {
            Ok(job) => job,
            Err(fault) => return Outcome::dead("PAYLOAD", fault),
        };
        match AssertUnwindSafe(Handler::run(self, job, run)).catch_unwind().await {
            Ok(result) => Outcome::of(result),
            Err(panic) => Outcome::Panicked(Failure::new("PANIC", words_of(&*panic))),
        }
    }
}

fn read<J: Job>(version: u16, payload: &str) -> Result<J, String> {
    let read = || -> serde_json::Result<Option<J>> {
        if version == J::VERSION {
            return serde_json::from_str(payload).map(Some);
        }
        let upgraded = J::upgrade(version, serde_json::from_str(payload)?);
        upgraded.map(serde_json::from_value).transpose()
    };
    let job = read().map_err(|fault| position_of(&fault))?;
    job.ok_or_else(|| format!("version {version} can no longer be read"))
}

/// Where the payload does not read. The message of the fault could contain a value of the payload.
fn position_of(fault: &serde_json::Error) -> String {
    format!("the payload cannot be read at column {} ({:?})", fault.column(), fault.classify())
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the handler panicked".to_owned())
}

/// A kind of job with its handler.
#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) version: u16,
    pub(crate) options: JobOptions,
    handler: Arc<dyn AnyHandler>,
}

impl Registered {
    pub(crate) async fn run(&self, version: u16, payload: &str, run: &Run) -> Outcome {
        self.handler.run(version, payload, run).await
    }
}

/// The handlers of a worker. Each crate that has jobs adds its own with a function `register`.
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Registered>,
    schedules: Vec<Schedule>,
}

impl Registry {
    /// No handlers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler.
    ///
    /// # Panics
    ///
    /// If there is one for the same kind.
    pub fn register<H: Handler>(&mut self, handler: H) {
        let kind = H::Job::KIND;
        let registered =
            Registered { version: H::Job::VERSION, options: H::Job::OPTIONS, handler: Arc::new(handler) };
        let earlier = self.kinds.insert(kind, registered);
        assert!(earlier.is_none(), "{kind} has two handlers");
    }

    /// Adds a schedule.
    ///
    /// # Panics
    ///
    /// If there is one of this name.
    pub fn schedule(&mut self, schedule: Schedule) {
        let is_new = self.schedules.iter().all(|other| other.name != schedule.name);
        assert!(is_new, "there are two schedules {}", schedule.name);
        self.schedules.push(schedule);
    }

    pub(crate) fn schedules(&self) -> &[Schedule] {
        &self.schedules
    }

    /// The kinds, in alphabetical order.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.keys().copied()
    }

    pub(crate) fn get(&self, kind: &str) -> Option<&Registered> {
        self.kinds.get(kind)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.kinds()).finish()
    }
}
