//! Health checks, metrics, the OpenAPI document and its page.

mod docs;
mod health;
mod metrics;

use std::sync::Arc;

use switchyard_database::Db;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use docs::OPENAPI_JSON;
pub use metrics::RenderMetrics;

/// What the handlers need.
#[derive(Clone, Debug)]
struct System {
    db: Db,
    metrics: Option<Arc<dyn RenderMetrics>>,
}

/// The routes. Without `metrics`, as on Lambda, where metrics go out with the logs, `/metrics` answers 404.
pub fn router(db: Db, metrics: Option<Arc<dyn RenderMetrics>>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(health::get_liveness))
        .routes(routes!(health::get_readiness))
        .routes(routes!(health::get_health))
        .routes(routes!(metrics::get_metrics))
        .routes(routes!(docs::get_openapi))
        .merge(docs::pages())
        .with_state(System { db, metrics })
}
