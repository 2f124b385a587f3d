use std::time::{Duration, Instant};

use axum::extract::{Extension, State};
use serde::Serialize;
use switchyard_api::{ApiError, ApiResult, Json, codes, operation_errors};
use switchyard_database::Error;
use switchyard_runtime::Stopping;
use utoipa::ToSchema;

use crate::System;

/// How long to wait for the database. If it takes longer, the load balancer should send requests to another
/// instance.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The status of the service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// Always `ok`. Otherwise the answer is an error.
    #[schema(example = "ok")]
    status: &'static str,
}

/// The health of the service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`. Otherwise the answer is an error.
    #[schema(example = "ok")]
    status: &'static str,
    /// The version of the program.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The health of the database.
    database: DatabaseHealth,
}

/// The health of the database.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DatabaseHealth {
    /// Always `ok`. Otherwise the answer is an error.
    #[schema(example = "ok")]
    status: &'static str,
    /// How long the database took to answer, in milliseconds.
    #[schema(example = 0.42)]
    latency_ms: f64,
}

/// Gets the liveness of the process.
///
/// The answer depends on nothing else, not even on the database.
#[utoipa::path(get, path = "/healthz", tag = "system", responses((status = 200, body = Status)))]
pub(crate) async fn get_liveness() -> Json<Status> {
    Json(Status { status: "ok" })
}

/// Gets the readiness to serve requests.
///
/// The service is ready if the database answers, and until it is told to stop.
#[utoipa::path(get, path = "/readyz", tag = "system", responses((status = 200, body = Status)))]
pub(crate) async fn get_readiness(
    State(system): State<System>,
    stopping: Option<Extension<Stopping>>,
) -> ApiResult<Json<Status>> {
    if stopping.is_some() {
        return Err(ApiError::new(codes::UNAVAILABLE).message("The server is stopping."));
    }
    ping(&system).await?;
    Ok(Json(Status { status: "ok" }))
}

operation_errors!(HealthErrors: codes::NOT_FOUND);

/// Gets the health of the service and of its database.
///
/// With `DIAGNOSTICS=private`, which is the default on Lambda, the answer is 404.
#[utoipa::path(get, path = "/health", tag = "system", responses((status = 200, body = Health), HealthErrors))]
pub(crate) async fn get_health(State(system): State<System>) -> ApiResult<Json<Health>> {
    if !system.metrics.are_public() {
        return Err(codes::NOT_FOUND.into());
    }
    let latency = ping(&system).await?;
    let database = DatabaseHealth { status: "ok", latency_ms: latency.as_secs_f64() * 1e3 };
    Ok(Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION"), database }))
}

async fn ping(system: &System) -> ApiResult<Duration> {
    let start = Instant::now();
    let answer = tokio::time::timeout(TIMEOUT, system.db.backend().ping()).await;
    let unavailable = |cause: Error| {
        ApiError::new(codes::UNAVAILABLE)
            .message("The database does not answer.")
            .retry_after(TIMEOUT)
            .caused_by(cause)
    };
    match answer {
        Ok(Ok(())) => Ok(start.elapsed()),
        Ok(Err(fault)) => Err(unavailable(fault)),
        Err(_) => Err(unavailable(Error::Unavailable(format!("no answer within {TIMEOUT:?}")))),
    }
}
