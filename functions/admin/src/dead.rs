//! Dead jobs: listing them, and retrying or discarding all of them.

use axum::extract::State;
use axum::http::StatusCode;
use deserr::Deserr;
use switchyard_ambient::{ParseTimestampError, Timestamp};
use switchyard_api::{ApiResult, Faults, Json, Page, PageParams, Paged, SignedIn};
use switchyard_jobs::{AcceptedJob, DeadJobs, JobDetails, JobFilter, JobKind, JobState, Jobs};
use switchyard_kernel::Context;
use utoipa::{IntoParams, ToSchema};

/// Which dead jobs to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadJobQuery {
    /// Only jobs of this kind.
    #[deserr(default)]
    #[param(nullable = false)]
    kind: Option<JobKind>,
}

/// Which dead jobs to change.
#[derive(Debug, Default, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(crate) struct DeadJobSelection {
    /// Only jobs of this kind.
    #[deserr(default)]
    kind: Option<JobKind>,
    /// Only jobs that died before this time (RFC 3339). The default is now.
    #[deserr(default, try_from(Option<String>) = time -> ParseTimestampError)]
    #[schema(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
}

fn time(text: Option<String>) -> Result<Option<Timestamp>, ParseTimestampError> {
    text.map(|text| text.parse()).transpose()
}

impl DeadJobSelection {
    fn at(self, context: &Context) -> DeadJobs {
        DeadJobs {
            kind: self.kind.map(|kind| kind.as_str().to_owned()),
            before: self.before.unwrap_or(context.now),
        }
    }
}

/// Lists dead jobs, the latest first.
#[utoipa::path(get, path = "/admin/jobs/dead", tag = "jobs", security(("bearer" = ["jobs:read"])),
    params(PageParams, DeadJobQuery),
    responses((status = 200, description = "A page of jobs.", body = Page<JobDetails>)))]
pub(crate) async fn list_dead_jobs(
    SignedIn(context): SignedIn,
    State(jobs): State<Jobs>,
    Paged { page, filter: DeadJobQuery { kind } }: Paged<DeadJobQuery>,
) -> ApiResult<Json<Page<JobDetails>>> {
    let filter = JobFilter { state: Some(JobState::Dead), kind: kind.map(|kind| kind.as_str().to_owned()) };
    Ok(Json(jobs.list(&context, &filter, &page).await?))
}

/// Retries all dead jobs, or those of a kind.
///
/// A job does this; the answer says where its state can be read.
#[utoipa::path(post, path = "/admin/jobs/dead/retry", tag = "jobs", security(("bearer" = ["jobs:write"])),
    request_body = Option<DeadJobSelection>,
    responses((status = 202, description = "The job that does it.", body = AcceptedJob)))]
pub(crate) async fn retry_dead_jobs(
    SignedIn(context): SignedIn,
    State(jobs): State<Jobs>,
    body: Option<Json<DeadJobSelection>>,
) -> ApiResult<(StatusCode, Json<AcceptedJob>)> {
    let dead = body.map(|Json(selection)| selection).unwrap_or_default().at(&context);
    Ok((StatusCode::ACCEPTED, Json(jobs.retry_dead(&context, &dead).await?.into())))
}

/// Discards all dead jobs, or those of a kind.
///
/// A job does this; the answer says where its state can be read.
#[utoipa::path(post, path = "/admin/jobs/dead/discard", tag = "jobs", security(("bearer" = ["jobs:write"])),
    request_body = Option<DeadJobSelection>,
    responses((status = 202, description = "The job that does it.", body = AcceptedJob)))]
pub(crate) async fn discard_dead_jobs(
    SignedIn(context): SignedIn,
    State(jobs): State<Jobs>,
    body: Option<Json<DeadJobSelection>>,
) -> ApiResult<(StatusCode, Json<AcceptedJob>)> {
    let dead = body.map(|Json(selection)| selection).unwrap_or_default().at(&context);
    Ok((StatusCode::ACCEPTED, Json(jobs.discard_dead(&context, &dead).await?.into())))
}
