//! The error codes of jobs.

use switchyard_kernel::{ErrorCode, ErrorKind};

/// `JOB_NOT_RETRYABLE`: the job is neither dead, nor cancelled, nor waiting for another attempt.
pub const JOB_NOT_RETRYABLE: ErrorCode = ErrorCode::new(
    "JOB_NOT_RETRYABLE",
    ErrorKind::Conflict,
    "Only a job that is dead, cancelled or retrying can be retried.",
);

/// `JOB_NOT_DISCARDABLE`: the job is not dead.
pub const JOB_NOT_DISCARDABLE: ErrorCode =
    ErrorCode::new("JOB_NOT_DISCARDABLE", ErrorKind::Conflict, "Only a dead job can be discarded.");

/// `JOB_FINISHED`: the job has ended.
pub const JOB_FINISHED: ErrorCode =
    ErrorCode::new("JOB_FINISHED", ErrorKind::Conflict, "The job has ended and cannot be cancelled.");

/// All of them.
pub const ALL: &[ErrorCode] = &[JOB_NOT_RETRYABLE, JOB_NOT_DISCARDABLE, JOB_FINISHED];
