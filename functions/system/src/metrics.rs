use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use switchyard_api::{ApiError, ApiResult, OrNotFound as _, codes, operation_errors};
use switchyard_runtime::Metrics;

use crate::System;

operation_errors!(MetricsErrors: codes::NOT_FOUND);

/// Gets the metrics of this process since its start.
///
/// The format is Prometheus text (version 0.0.4). On Lambda, metrics are written to the logs, and the answer is
/// 404, as it is with `DIAGNOSTICS=private`.
#[utoipa::path(get, path = "/metrics", tag = "system",
    responses(
        (status = 200, body = String, content_type = "text/plain; version=0.0.4", example = "up 1"),
        MetricsErrors,
    ))]
pub(crate) async fn get_metrics(State(system): State<System>) -> ApiResult<impl IntoResponse> {
    let text = system.metrics.render().or_not_found()?.map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], text))
}
