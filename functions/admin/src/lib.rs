//! Routes under `/jobs`, `/admin/jobs` and `/admin/crons`: the state of a job for the user who has caused it, and the administration
//! of all jobs and schedules.

mod crons;
mod dead;
mod jobs;
#[cfg(feature = "testing")]
pub mod samples;
mod status;

use switchyard_jobs::Jobs;
use switchyard_runtime::Access::{Delete, Insert, List, Read, Replace};
use switchyard_runtime::Function;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the function declares.
pub const FUNCTION: Function = Function::new("admin", "Jobs and their administration")
    .routes(&["/api/v1/jobs/{proxy+}", "/api/v1/admin/{proxy+}"])
    .uses(&[
        ("jobs", &[Read, List("by_place"), Insert, Replace]),
        ("job_counts", &[Read]),
        ("job_schedules", &[List("by_name"), Insert, Delete]),
        ("job_workers", &[List("by_last_seen")]),
    ])
    .secrets(&["AUDIT_KEY"]);

/// The routes.
pub fn router(jobs: Jobs) -> OpenApiRouter {
    let routes = OpenApiRouter::new()
        .routes(routes!(status::get_job_status))
        .routes(routes!(jobs::list_jobs))
        .routes(routes!(jobs::get_job_stats))
        .routes(routes!(dead::list_dead_jobs))
        .routes(routes!(dead::retry_dead_jobs))
        .routes(routes!(dead::discard_dead_jobs))
        .routes(routes!(crons::list_crons))
        .routes(routes!(crons::update_cron))
        .routes(routes!(crons::run_cron))
        .routes(routes!(jobs::get_job))
        .routes(routes!(jobs::retry_job))
        .routes(routes!(jobs::discard_job))
        .routes(routes!(jobs::cancel_job));
    OpenApiRouter::new().nest("/api/v1", routes).with_state(jobs)
}
