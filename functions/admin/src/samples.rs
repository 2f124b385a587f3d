//! A sample of each operation that has a path parameter or a body.

use switchyard_api::testing::{Sample, json};
use switchyard_jobs::Jobs;
use switchyard_jobs::testing::{store_cancelled, store_cron, store_dead, store_waiting};
use switchyard_kernel::Context;

/// Returns samples about jobs that `owner` has caused.
///
/// # Panics
///
/// If they cannot be stored.
pub async fn samples(jobs: &Jobs, owner: &Context) -> Vec<Sample> {
    let waiting = store_waiting(jobs, owner).await;
    let cancelled = store_cancelled(jobs, owner).await;
    let dead = store_dead(jobs, owner).await;
    let cron = store_cron(jobs).await;
    let path = |id: &str, rest: &str| format!("/api/v1/admin/jobs/{id}{rest}");
    let kind = json!({"kind": "samples.none"});
    vec![
        Sample::new("get_job_status", format!("/api/v1/jobs/{waiting}")),
        Sample::new("get_job", path(&waiting, "")),
        Sample::new("retry_job", path(&cancelled, "/retry")),
        Sample::new("discard_job", path(&dead, "/discard")),
        Sample::new("cancel_job", path(&waiting, "/cancel")),
        Sample::new("update_cron", format!("/api/v1/admin/crons/{cron}")).body(json!({"paused": true})),
        Sample::new("run_cron", format!("/api/v1/admin/crons/{cron}/run")),
        Sample::new("retry_dead_jobs", "/api/v1/admin/jobs/dead/retry").body(kind.clone()),
        Sample::new("discard_dead_jobs", "/api/v1/admin/jobs/dead/discard").body(kind),
    ]
}
