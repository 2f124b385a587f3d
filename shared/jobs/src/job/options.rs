use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Retry;

/// How urgent a job is. Workers take the more urgent ones first, and keep half of their places for those that wait longest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Somebody waits for it, as for a mail with a link.
    Urgent,
    /// Everything else.
    #[default]
    Normal,
    /// A part of much work, such as an import.
    Bulk,
}

impl Priority {
    /// The name in the API and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}

/// What is left of a job that has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The job with its result, for the time that the program's settings say.
    Job,
    /// Nothing.
    Nothing,
}

/// How the jobs of a kind are run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JobOptions {
    /// How urgent they are.
    pub priority: Priority,
    /// Whether their values are sealed in the database.
    pub is_sealed: bool,
    /// What happens after a failure.
    pub retry: Retry,
    /// How long a worker has a job without a sign of life. A worker that dies costs this time.
    pub lease: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// What is left of a job that has succeeded.
    pub keep: Keep,
}

impl JobOptions {
    /// Normal priority, [`Retry::QUICK`], a lease of a minute, and five minutes for an attempt.
    pub const fn new() -> Self {
        Self {
            priority: Priority::Normal,
            is_sealed: false,
            retry: Retry::QUICK,
            lease: Duration::from_secs(60),
            timeout: Duration::from_secs(300),
            keep: Keep::Job,
        }
    }

    /// Somebody waits for these jobs.
    #[must_use]
    pub const fn urgent(mut self) -> Self {
        self.priority = Priority::Urgent;
        self
    }

    /// These jobs are parts of much work.
    #[must_use]
    pub const fn bulk(mut self) -> Self {
        self.priority = Priority::Bulk;
        self
    }

    /// Stores the values of these jobs sealed, for what the database must not reveal.
    #[must_use]
    pub const fn sealed(mut self) -> Self {
        self.is_sealed = true;
        self
    }

    /// Sets what happens after a failure.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the lease, at least 30 seconds.
    ///
    /// # Panics
    ///
    /// If it is shorter. As a constant it does not compile then.
    #[must_use]
    pub const fn lease_seconds(mut self, seconds: u64) -> Self {
        assert!(seconds >= 30, "a lease leaves too little time to extend it");
        self.lease = Duration::from_secs(seconds);
        self
    }

    /// Sets how long one attempt may take.
    #[must_use]
    pub const fn timeout_seconds(mut self, seconds: u64) -> Self {
        self.timeout = Duration::from_secs(seconds);
        self
    }

    /// Removes the jobs as soon as they have succeeded.
    #[must_use]
    pub const fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }
}

impl Default for JobOptions {
    fn default() -> Self {
        Self::new()
    }
}
