use axum::extract::State;
use switchyard_api::{ApiResult, Json, Path, SignedIn};
use switchyard_jobs::{JobId, JobStatus, Jobs};

/// Gets the state of a job.
///
/// For the user whose request has caused the job, and for anyone with `jobs:read`; other callers get 404.
#[utoipa::path(get, path = "/jobs/{id}", tag = "jobs", security(("bearer" = [])),
    params(("id" = inline(JobId), Path, description = "The job's id.")),
    responses((status = 200, description = "The state.", body = JobStatus)))]
pub(crate) async fn get_job_status(
    SignedIn(context): SignedIn,
    State(jobs): State<Jobs>,
    Path(id): Path<JobId>,
) -> ApiResult<Json<JobStatus>> {
    Ok(Json(jobs.status(&context, id.as_str()).await?))
}
