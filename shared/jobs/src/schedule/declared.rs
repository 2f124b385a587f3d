use switchyard_database::Error;

use super::{CatchUp, CronExpression, CronFault};
use crate::Job;
use crate::outbox::JobTemplate;

/// What happens at a tick while the job of an earlier one waits or runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// The tick has no job.
    #[default]
    Skip,
    /// The tick has a job too.
    Allow,
}

/// A job that runs regularly.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub(crate) name: &'static str,
    pub(crate) cron: CronExpression,
    pub(crate) template: Result<JobTemplate, Error>,
    pub(crate) catch_up: CatchUp,
    pub(crate) overlap: Overlap,
}

impl Schedule {
    /// A schedule with this name, which is never changed, as in `identity.expiring_keys`. The job runs at the times of
    /// a cron expression in a time zone.
    ///
    /// # Errors
    ///
    /// What is wrong with the expression or the zone.
    pub fn cron<J: Job>(
        name: &'static str,
        expression: &str,
        time_zone: &str,
        job: &J,
    ) -> Result<Self, CronFault> {
        let cron = CronExpression::parse(expression, time_zone)?;
        let (catch_up, overlap) = (CatchUp::default(), Overlap::default());
        Ok(Self { name, cron, template: JobTemplate::of(job), catch_up, overlap })
    }

    /// Sets which ticks run after a time in which no worker ran.
    #[must_use]
    pub fn catch_up(mut self, catch_up: CatchUp) -> Self {
        self.catch_up = catch_up;
        self
    }

    /// Sets what happens at a tick while the job of an earlier one waits or runs.
    #[must_use]
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// The id of its state.
    pub(crate) fn state_id(&self) -> String {
        format!("{}@{}", self.name, self.cron.hash())
    }
}
