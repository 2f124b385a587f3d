//! The actions that the administration of jobs records in the audit log.

use switchyard_kernel::Action;

/// A job that was dead, cancelled or waiting for another attempt was queued again.
pub const JOB_RETRIED: Action = Action::new("job.retried");
/// A dead job was given up.
pub const JOB_DISCARDED: Action = Action::new("job.discarded");
/// A job was cancelled, or its worker was told to stop.
pub const JOB_CANCELLED: Action = Action::new("job.cancelled");
/// All dead jobs, or those of a kind, are queued again.
pub const DEAD_JOBS_RETRIED: Action = Action::new("job.dead_retried");
/// All dead jobs, or those of a kind, are given up.
pub const DEAD_JOBS_DISCARDED: Action = Action::new("job.dead_discarded");

/// A schedule was paused.
pub const CRON_PAUSED: Action = Action::new("cron.paused");
/// A schedule was resumed.
pub const CRON_RESUMED: Action = Action::new("cron.resumed");
/// The job of a schedule was run by hand.
pub const CRON_RUN: Action = Action::new("cron.run");

/// All of them.
pub const ALL: &[Action] = &[
    JOB_RETRIED,
    JOB_DISCARDED,
    JOB_CANCELLED,
    DEAD_JOBS_RETRIED,
    DEAD_JOBS_DISCARDED,
    CRON_PAUSED,
    CRON_RESUMED,
    CRON_RUN,
];
