use std::fmt::Debug;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use switchyard_api::{ApiResult, OrNotFound as _, operation_errors};

use crate::System;

/// Renders what was measured in the Prometheus text format.
pub trait RenderMetrics: Debug + Send + Sync + 'static {
    /// The present values.
    fn render(&self) -> String;
}

operation_errors!(MetricsErrors: NotFound);

/// Tells what was measured since the process started, as Prometheus text (version 0.0.4). On Lambda metrics go out with
/// the logs, and there is nothing here.
#[utoipa::path(get, path = "/metrics", tag = "system",
    responses((status = 200, body = String, content_type = "text/plain; version=0.0.4"), MetricsErrors))]
pub(crate) async fn get_metrics(State(system): State<System>) -> ApiResult<impl IntoResponse> {
    let metrics: Arc<dyn RenderMetrics> = system.metrics.or_not_found()?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()))
}
