//! The layers around every router, in their order.

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
use headers::{compression, cors, disregard_unfit_encodings};
use watch::watch;

/// What the layers work with.
#[derive(Debug)]
pub struct Api {
    db: Db,
    authenticator: Arc<dyn Authenticator>,
    settings: ApiSettings,
    observer: Arc<dyn Observer>,
}

impl Api {
    /// The conventions over this database, with these settings; `authenticator` tells whose an access token is.
    pub fn new(
        db: Db,
        authenticator: Arc<dyn Authenticator>,
        settings: ApiSettings,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self { db, authenticator, settings, observer }
    }

    /// The database in which keys and limits are kept.
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

/// Puts every convention of the API around a router. A function and the local server call this and nothing else, so
/// they answer alike.
///
/// From the outside in: request id, span, log line and metrics; security headers; CORS; compression; time-out and
/// panics; authentication; rate limits; idempotency; then the route. Errors of the router itself (404, 405) get the
/// same envelope as those of handlers.
pub fn serve_api(router: OpenApiRouter, api: Arc<Api>) -> Router {
    let (router, document) = router.split_for_parts();
    let declared = Arc::new(openapi::declared_operations(&document));
    let operations = || declared.values().flat_map(|methods| methods.values());
    let limiters = Limiters::new(&api.settings, operations().map(|operation| &operation.counted_by));
    let own_headers: HashSet<_> = operations().flat_map(|operation| &operation.headers).cloned().collect();
    let gate = Gate { api: Arc::clone(&api), declared: Arc::clone(&declared), limiters: Arc::new(limiters) };
    // The layer that is added last is the outermost.
    let router = router
        .fallback(|| async { ApiError::new(codes::NOT_FOUND) })
        .method_not_allowed_fallback(|| async { ApiError::new(codes::METHOD_NOT_ALLOWED) })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(gate, pass_gate))
        .layer(compression())
        .layer(middleware::map_request(disregard_unfit_encodings));
    let router = match cors(&api.settings.cors_origins, own_headers) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.layer(middleware::from_fn_with_state(api, watch))
}
