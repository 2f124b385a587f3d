//! What a worker reports, for metrics.

use std::fmt::Debug;
use std::time::Duration;

/// Observes the attempts of a worker.
pub trait JobObserver: Debug + Send + Sync + 'static {
    /// An attempt has begun, this long after its job was due.
    fn began(&self, priority: &'static str, lag: Duration);

    /// An attempt has ended.
    fn ended(&self, attempt: &EndedAttempt<'_>);
}

/// The end of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct EndedAttempt<'a> {
    /// The kind of the job.
    pub kind: &'a str,
    /// The state that the job has then, or `lost` if another attempt has the job.
    pub outcome: &'static str,
    /// How long the attempt took, from the claim until its end was stored.
    pub took: Duration,
}

/// An observer that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoJobObserver;

impl JobObserver for NoJobObserver {
    fn began(&self, _: &'static str, _: Duration) {}

    fn ended(&self, _: &EndedAttempt<'_>) {}
}
