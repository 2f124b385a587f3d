//! All jobs: listing, retrying, discarding, cancelling them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use deserr::Deserr;
use switchyard_api::{
    ApiResult, Conditional, Faults, Json, Page, PageParams, Paged, Path, SignedIn, Tagged,
    codes as api_codes, operation_errors,
};
use switchyard_jobs::{Cancellation, JobDetails, JobFilter, JobId, JobKind, JobState, JobStats, Jobs, codes};
use utoipa::IntoParams;

/// Which jobs to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobQuery {
    /// Only jobs in this state.
    #[deserr(default)]
    #[param(nullable = false)]
    state: Option<JobState>,
    /// Only jobs of this kind.
    #[deserr(default)]
    #[param(nullable = false)]
    kind: Option<JobKind>,
}

/// Lists jobs.
///
/// Jobs that wait or run come in the order in which they are due, or their time ends. Of jobs that have ended, listed by their
/// state, the latest come first.
#[utoipa::path(get, path = "/admin/jobs", tag = "jobs", security(("bearer" = ["jobs:read"])),
    params(PageParams, JobQuery),
    responses((status = 200, description = "A page of jobs.", body = Page<JobDetails>)))]
pub(crate) async fn list_jobs(
    SignedIn(context): SignedIn,
    State(jobs): State<Jobs>,
    Paged { page, filter: JobQuery { state, kind } }: Paged<JobQuery>,
) -> ApiResult<Json<Page<JobDetails>>> {
    let filter = JobFilter { state, kind: kind.map(|kind| kind.as_str().to_owned()) };
    Ok(Json(jobs.list(&context, &filter, &page).await?))
}

/// Gets the statistics of jobs.
///
/// Up to 10,000 jobs are counted in each state. The counts of the last 24 hours may lack the last ten seconds.
#[utoipa::path(get, path = "/admin/jobs/stats", tag = "jobs", security(("bearer" = ["jobs:read"])),
    responses((status = 200, description = "The statistics.", body = JobStats)))]
pub(crate) async fn get_job_stats(
    SignedIn(context): SignedIn,
    State(jobs): State<Jobs>,
) -> ApiResult<Json<JobStats>> {
    Ok(Json(jobs.stats(&context).await?))
}

/// Gets a job.
#[utoipa::path(get, path = "/admin/jobs/{id}", tag = "jobs", security(("bearer" = ["jobs:read"])),
    params(("id" = inline(JobId), Path, description = "The job's id.")),
    responses((status = 200, description = "The job.", body = JobDetails, headers(("ETag")))))]
pub(crate) async fn get_job(
    SignedIn(context): SignedIn,
    State(jobs): State<Jobs>,
    Path(id): Path<JobId>,
) -> ApiResult<Tagged<JobDetails>> {
    Ok(Tagged(jobs.get(&context, id.as_str()).await?))
}

operation_errors!(RetryJobErrors: codes::JOB_NOT_RETRYABLE, api_codes::PRECONDITION_FAILED);

/// Retries a job.
///
/// A job that is dead, cancelled or retrying is queued again, and its attempts begin again.
#[utoipa::path(post, path = "/admin/jobs/{id}/retry", tag = "jobs", security(("bearer" = ["jobs:write"])),
    params(("id" = inline(JobId), Path, description = "The job's id.")),
    responses((status = 200, description = "The job.", body = JobDetails), RetryJobErrors))]
pub(crate) async fn retry_job(
    SignedIn(context): SignedIn,
    State(jobs): State<Jobs>,
    Path(id): Path<JobId>,
    Conditional(precondition): Conditional,
) -> ApiResult<Json<JobDetails>> {
    Ok(Json(jobs.retry(&context, id.as_str(), &precondition).await?))
}

operation_errors!(DiscardJobErrors: codes::JOB_NOT_DISCARDABLE, api_codes::PRECONDITION_FAILED);

/// Discards a dead job.
///
/// It becomes a cancelled one.
#[utoipa::path(post, path = "/admin/jobs/{id}/discard", tag = "jobs", security(("bearer" = ["jobs:write"])),
    params(("id" = inline(JobId), Path, description = "The job's id.")),
    responses((status = 200, description = "The job.", body = JobDetails), DiscardJobErrors))]
pub(crate) async fn discard_job(
    SignedIn(context): SignedIn,
    State(jobs): State<Jobs>,
    Path(id): Path<JobId>,
    Conditional(precondition): Conditional,
) -> ApiResult<Json<JobDetails>> {
    Ok(Json(jobs.discard(&context, id.as_str(), &precondition).await?))
}

operation_errors!(CancelJobErrors: codes::JOB_FINISHED, api_codes::PRECONDITION_FAILED);

/// Cancels a job.
///
/// A job that waits is cancelled at once. The worker of a job that runs is told to stop, and does so within a third of the job's
/// lease, unless the job ends before.
#[utoipa::path(post, path = "/admin/jobs/{id}/cancel", tag = "jobs", security(("bearer" = ["jobs:write"])),
    params(("id" = inline(JobId), Path, description = "The job's id.")),
    responses(
        (status = 200, description = "The job is cancelled.", body = JobDetails),
        (status = 202, description = "The job's worker is told to stop.", body = JobDetails),
        CancelJobErrors,
    ))]
pub(crate) async fn cancel_job(
    SignedIn(context): SignedIn,
    State(jobs): State<Jobs>,
    Path(id): Path<JobId>,
    Conditional(precondition): Conditional,
) -> ApiResult<Response> {
    Ok(match jobs.cancel(&context, id.as_str(), &precondition).await? {
        Cancellation::Done(job) => Json(job).into_response(),
        Cancellation::Requested(job) => (StatusCode::ACCEPTED, Json(job)).into_response(),
    })
}
