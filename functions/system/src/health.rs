use std::time::{Duration, Instant};

use axum::extract::State;
use serde::Serialize;
use switchyard_api::{ApiError, ApiResult, Json, codes};
use switchyard_database::Error;
use utoipa::ToSchema;

use crate::System;

/// A database that takes longer is as good as away: whoever asks has others to send requests to.
const PATIENCE: Duration = Duration::from_secs(2);

/// That all is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// Always `ok`; what is not is an error.
    #[schema(example = "ok")]
    status: &'static str,
}

/// That all is well, in detail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`; what is not is an error.
    #[schema(example = "ok")]
    status: &'static str,
    /// The version of the program.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// How the database is.
    database: DatabaseHealth,
}

/// How the database is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DatabaseHealth {
    /// Always `ok`; what is not is an error.
    #[schema(example = "ok")]
    status: &'static str,
    /// Milliseconds until it answered.
    #[schema(example = 0.42)]
    latency_ms: f64,
}

/// Tells that the process is alive; asks nobody else.
#[utoipa::path(get, path = "/healthz", tag = "system", responses((status = 200, body = Status)))]
pub(crate) async fn get_liveness() -> Json<Status> {
    Json(Status { status: "ok" })
}

/// Tells that requests can be served: the database answers.
#[utoipa::path(get, path = "/readyz", tag = "system", responses((status = 200, body = Status)))]
pub(crate) async fn get_readiness(State(system): State<System>) -> ApiResult<Json<Status>> {
    ping(&system).await?;
    Ok(Json(Status { status: "ok" }))
}

/// Tells how the service and its database are.
#[utoipa::path(get, path = "/health", tag = "system", responses((status = 200, body = Health)))]
pub(crate) async fn get_health(State(system): State<System>) -> ApiResult<Json<Health>> {
    let latency = ping(&system).await?;
    let database = DatabaseHealth { status: "ok", latency_ms: latency.as_secs_f64() * 1e3 };
    Ok(Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION"), database }))
}

async fn ping(system: &System) -> ApiResult<Duration> {
    let start = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, system.db.backend().ping()).await;
    let away = |cause: Error| {
        ApiError::new(codes::UNAVAILABLE)
            .message("The database does not answer.")
            .retry_after(PATIENCE)
            .caused_by(cause)
    };
    match answer {
        Ok(Ok(())) => Ok(start.elapsed()),
        Ok(Err(fault)) => Err(away(fault)),
        Err(_) => Err(away(Error::Unavailable(format!("no answer within {PATIENCE:?}")))),
    }
}
