//! The permissions of jobs.

use switchyard_kernel::Permission;

/// `jobs:read`.
pub const JOBS_READ: Permission =
    Permission::new("jobs:read", "See all jobs and schedules, what the jobs are about, and the statistics.");
/// `jobs:write`.
pub const JOBS_WRITE: Permission =
    Permission::new("jobs:write", "Retry, discard and cancel jobs, and run and pause schedules.");
