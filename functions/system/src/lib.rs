//! Health checks, metrics, the OpenAPI document and its page.

mod docs;
mod health;
mod metrics;

use switchyard_database::Db;
use switchyard_runtime::{Function, Metrics};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use docs::OPENAPI_JSON;

/// What the handlers need.
#[derive(Clone, Debug)]
struct System {
    db: Db,
    metrics: Metrics,
}

/// What the function declares. It uses no collection and knows no users.
pub const FUNCTION: Function =
    Function::new("system", "Health checks, the OpenAPI document, and the answer to unknown routes");

/// The routes. `/metrics` and `/health` are for strangers only if the program's settings say so (`DIAGNOSTICS`).
pub fn router(db: Db, metrics: Metrics) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(health::get_liveness))
        .routes(routes!(health::get_readiness))
        .routes(routes!(health::get_health))
        .routes(routes!(metrics::get_metrics))
        .routes(routes!(docs::get_openapi))
        .merge(docs::pages())
        .with_state(System { db, metrics })
}
