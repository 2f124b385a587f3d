//! The layers around every router, in order.

mod gate;
mod headers;
mod watch;

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use switchyard_ambient::Ambient;
use switchyard_database::Db;
use switchyard_kernel::Authenticator;
use utoipa_axum::router::OpenApiRouter;

use crate::observe::Observer;
use crate::rate_limit::Limiters;
use crate::settings::ApiSettings;
use crate::{ApiError, MAX_BODY_BYTES, codes, openapi};

use gate::{Gate, pass_gate};
use headers::{compression, cors, disregard_unfit_encodings, revalidate};
use watch::watch;

/// What the layers need: the database, the authenticator, the settings and the observer.
#[derive(Debug)]
pub struct Api {
    db: Db,
    authenticator: Arc<dyn Authenticator>,
    settings: ApiSettings,
    observer: Arc<dyn Observer>,
}

impl Api {
    /// The conventions with this database and these settings. `authenticator` finds the user of an access
    /// token.
    pub fn new(
        db: Db,
        authenticator: Arc<dyn Authenticator>,
        settings: ApiSettings,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self { db, authenticator, settings, observer }
    }

    /// The database that stores idempotency keys and rate limits.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The clock and the randomness.
    pub fn ambient(&self) -> &Ambient {
        self.db.ambient()
    }

    /// The settings.
    pub fn settings(&self) -> &ApiSettings {
        &self.settings
    }
}

/// Adds every convention of the API to a router. The functions and the local server all call it, so they give
/// the same answers.
///
/// The layers from the outside in: request id, span, log line and metrics; security headers; CORS; 304; compression;
/// time-out and panics; authentication; rate limits; idempotency; then the route. Errors of the router itself
/// (404, 405) get the same envelope as those of handlers.
pub fn serve_api(router: OpenApiRouter, api: Arc<Api>) -> Router {
    let (router, document) = router.split_for_parts();
    let declared = Arc::new(openapi::declared_operations(&document));
    let operations = || declared.values().flat_map(|methods| methods.values());
    let limiters = Limiters::new(&api.settings, operations().map(|operation| &operation.counted_by));
    let own_headers = operations().flat_map(|operation| &operation.headers);
    let own_headers: HashSet<_> = own_headers.chain(&api.settings.cors_headers.0).cloned().collect();
    let gate = Gate { api: Arc::clone(&api), declared: Arc::clone(&declared), limiters: Arc::new(limiters) };
    // The layer that is added last is the outermost.
    let router = router
        .fallback(|| async { ApiError::new(codes::NOT_FOUND) })
        .method_not_allowed_fallback(|| async { ApiError::new(codes::METHOD_NOT_ALLOWED) })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(gate, pass_gate))
        .layer(compression())
        .layer(middleware::from_fn(revalidate))
        .layer(middleware::map_request(disregard_unfit_encodings));
    let router = match cors(&api.settings.cors_origins, own_headers) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.layer(middleware::from_fn_with_state(api, watch))
}
