//! The whole API in one process: what the server of `cargo run` serves, tests ask and the OpenAPI document describes.

use switchyard_database::Db;
use switchyard_identity::Identity;
use switchyard_runtime::Metrics;
use utoipa_axum::router::OpenApiRouter;

/// Every route of the API.
pub fn router(db: &Db, metrics: &Metrics, identity: &Identity) -> OpenApiRouter {
    OpenApiRouter::new()
        .merge(switchyard_auth::router(identity.clone()))
        .merge(switchyard_users::router(identity.clone()))
        .merge(switchyard_system::router(db.clone(), metrics.clone()))
}
