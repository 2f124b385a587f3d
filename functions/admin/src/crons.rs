//! Schedules: listing, pausing and running them by hand.

use axum::extract::State;
use axum::http::StatusCode;
use switchyard_api::{ApiResult, Json, Patch, Path, SignedIn};
use switchyard_jobs::{AcceptedJob, Cron, CronFields, CronName, Crons, Jobs};
use switchyard_kernel::MergePatch;

/// Lists the schedules.
#[utoipa::path(get, path = "/admin/crons", tag = "jobs", security(("bearer" = ["jobs:read"])),
    responses((status = 200, description = "All schedules, by name.", body = Crons)))]
pub(crate) async fn list_crons(
    SignedIn(context): SignedIn,
    State(jobs): State<Jobs>,
) -> ApiResult<Json<Crons>> {
    Ok(Json(jobs.crons(&context).await?))
}

/// Updates a schedule: pauses or resumes it.
///
/// While it is paused, its ticks pass without jobs.
#[utoipa::path(patch, path = "/admin/crons/{name}", tag = "jobs", security(("bearer" = ["jobs:write"])),
    params(("name" = inline(CronName), Path, description = "The schedule's name.")),
    request_body(content = CronFields, content_type = MergePatch::MEDIA_TYPE),
    responses((status = 200, description = "The schedule.", body = Cron)))]
pub(crate) async fn update_cron(
    SignedIn(context): SignedIn,
    State(jobs): State<Jobs>,
    Path(name): Path<CronName>,
    Patch(patch): Patch,
) -> ApiResult<Json<Cron>> {
    let apply = |present: &CronFields| patch.apply_to(present);
    Ok(Json(jobs.edit_cron(&context, name.as_str(), apply).await?))
}

/// Runs the job of a schedule now, beside its ticks.
#[utoipa::path(post, path = "/admin/crons/{name}/run", tag = "jobs", security(("bearer" = ["jobs:write"])),
    params(("name" = inline(CronName), Path, description = "The schedule's name.")),
    responses((status = 202, description = "The job.", body = AcceptedJob)))]
pub(crate) async fn run_cron(
    SignedIn(context): SignedIn,
    State(jobs): State<Jobs>,
    Path(name): Path<CronName>,
) -> ApiResult<(StatusCode, Json<AcceptedJob>)> {
    Ok((StatusCode::ACCEPTED, Json(jobs.run_cron(&context, name.as_str()).await?.into())))
}
