//! Names of jobs in requests.

switchyard_kernel::line_type! {
    /// The id of a job: a UUID, or a name that its domain has chosen.
    JobId, 1..=64, example = "0190a1b2-0000-7000-8000-000000000001"
}

switchyard_kernel::line_type! {
    /// A kind of job.
    JobKind, 1..=64, example = "jobs.retry_dead"
}

switchyard_kernel::line_type! {
    /// The name of a schedule.
    CronName, 1..=64, example = "identity.expiring_keys"
}
