//! The layers around every router, in their order.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use switchyard_ambient::Ambient;
use switchyard_database::Db;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::Instrument;
use tracing::field::Empty;
use utoipa_axum::router::OpenApiRouter;

use crate::caller::Authentication;
use crate::context::{RequestContext, RequestId, X_REQUEST_ID, extension};
use crate::error::render;
use crate::idempotency::{IDEMPOTENCY_REPLAYED, Scope, is_keyed, run_once};
use crate::observe::{Observer, Outcome, label};
use crate::precondition::Known;
use crate::rate_limit::{self, Limiter};
use crate::settings::{ApiSettings, CorsOrigins};
use crate::{ApiError, ApiResult, Authenticator, ErrorCode, MAX_BODY_BYTES, openapi};

/// Smaller answers grow when they are compressed, or shrink by less than it costs.
const WORTH_COMPRESSING: u64 = 1024;

/// What the layers work with.
#[derive(Debug)]
pub struct Api {
    db: Db,
    authenticator: Arc<dyn Authenticator>,
    settings: ApiSettings,
    observer: Arc<dyn Observer>,
    pub(crate) address_limiter: Limiter,
    pub(crate) user_limiter: Limiter,
}

impl Api {
    /// The conventions over this database, with these settings; `authenticator` tells whose an access token is.
    pub fn new(
        db: Db,
        authenticator: Arc<dyn Authenticator>,
        settings: ApiSettings,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let address_limiter = Limiter::exact("address", settings.rate_limit);
        let user_limiter = Limiter::in_portions("user", settings.rate_limit_user);
        Self { db, authenticator, settings, observer, address_limiter, user_limiter }
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
    let limited = Arc::new(openapi::operations_limited_by_address(&document));
    let gate = Gate { api: Arc::clone(&api), limited };
    // The layer that is added last is the outermost.
    router
        .fallback(|| async { ApiError::new(ErrorCode::NotFound) })
        .method_not_allowed_fallback(|| async { ApiError::new(ErrorCode::MethodNotAllowed) })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(gate, pass_gate))
        .layer(compression())
        .layer(cors(&api.settings.cors_origins))
        .layer(middleware::from_fn_with_state(api, watch))
}

#[derive(Clone)]
struct Gate {
    api: Arc<Api>,
    /// Method and pattern of the operations whose callers are counted by address.
    limited: Arc<HashSet<(String, String)>>,
}

/// The outermost layer: gives the request its identity, and sees what becomes of it.
async fn watch(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let context = RequestContext::of(request.headers(), request.extensions(), &api);
    let id = context.request_id.clone();
    let watched = Watched::start(&api, &request);
    let span = tracing::info_span!(
        "request",
        request_id = %id,
        method = watched.method,
        route = watched.route,
        user_id = Empty,
    );
    async move {
        request.extensions_mut().insert(context);
        request.extensions_mut().insert(Arc::clone(&api));
        let mut response = render(next.run(request).await, id.as_str());
        add_standing_headers(&mut response, &id);
        watched.end(response.status());
        response
    }
    .instrument(span)
    .await
}

/// Sees a request to its end, also to the end of one whose client goes away.
struct Watched {
    observer: Arc<dyn Observer>,
    method: &'static str,
    route: String,
    path: String,
    started: Instant,
    over: bool,
}

impl Watched {
    fn start(api: &Api, request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
        api.observer.started();
        Self {
            observer: Arc::clone(&api.observer),
            method: label(request.method()),
            route: route.to_owned(),
            // Without the query, which may hold what is nobody's business.
            path: request.uri().path().to_owned(),
            started: Instant::now(),
            over: false,
        }
    }

    /// The one log line of the request.
    fn end(mut self, status: StatusCode) {
        let latency_ms = self.started.elapsed().as_secs_f64() * 1e3;
        tracing::info!(target: "access", path = self.path, status = status.as_u16(), latency_ms, "answered");
        self.report(Some(status));
    }

    fn report(&mut self, status: Option<StatusCode>) {
        self.over = true;
        let (method, route) = (self.method, self.route.as_str());
        self.observer.finished(&Outcome { method, route, status, latency: self.started.elapsed() });
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.over {
            tracing::info!(target: "access", path = self.path, "the client went away");
            self.report(None);
        }
    }
}

/// What every answer says, unless the handler said it otherwise.
fn add_standing_headers(response: &mut Response, id: &RequestId) {
    let standing = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let headers = response.headers_mut();
    for (name, value) in standing {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.insert(X_REQUEST_ID, id.header_value());
}

fn compression() -> CompressionLayer<impl Predicate> {
    // What is compressed already, or streams, is left alone.
    let predicate =
        SizeAbove::new(WORTH_COMPRESSING).and(NotForContentType::IMAGES).and(NotForContentType::SSE);
    CompressionLayer::new().gzip(true).compress_when(predicate)
}

fn cors(origins: &CorsOrigins) -> CorsLayer {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let accepted = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::HeaderName::from_static("idempotency-key"),
        X_REQUEST_ID,
    ];
    let exposed = [
        header::ETAG,
        header::LOCATION,
        header::RETRY_AFTER,
        header::WWW_AUTHENTICATE,
        header::HeaderName::from_static("ratelimit"),
        header::HeaderName::from_static("ratelimit-policy"),
        IDEMPOTENCY_REPLAYED,
        X_REQUEST_ID,
    ];
    let layer = CorsLayer::new()
        .allow_methods(methods)
        .allow_headers(accepted)
        .expose_headers(exposed)
        .max_age(Duration::from_secs(60 * 60));
    match origins {
        CorsOrigins::Any => layer.allow_origin(AllowOrigin::any()),
        // The refresh token may be a cookie, so listed origins may send credentials.
        CorsOrigins::Listed(origins) => layer
            .allow_origin(AllowOrigin::list(origins.iter().cloned()))
            .allow_credentials(!origins.is_empty()),
    }
}

/// The innermost layer: whatever happens in here becomes an answer.
async fn pass_gate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let id = match extension::<RequestContext>(request.extensions()) {
        Ok(context) => context.request_id,
        Err(error) => return error.into_response(),
    };
    let known = Known::of(request.method(), request.headers());
    let passing = AssertUnwindSafe(gate.pass(request, next)).catch_unwind();
    let response = match tokio::time::timeout(gate.api.settings.request_timeout, passing).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => answer_panic().into_response(),
        Err(_elapsed) => answer_timeout().into_response(),
    };
    known.spare(render(response, id.as_str()))
}

impl Gate {
    async fn pass(&self, mut request: Request, next: Next) -> Response {
        let api = &*self.api;
        let caller = Authentication::of(request.headers(), &*api.authenticator).await;
        if let Some(caller) = caller.caller() {
            tracing::Span::current().record("user_id", tracing::field::display(caller.user_id));
        }
        let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
        let by_address = route
            .as_ref()
            .is_some_and(|route| self.limited.contains(&(request.method().to_string(), route.clone())));
        let context = extension::<RequestContext>(request.extensions());
        let address = context.as_ref().ok().and_then(|context| context.client_address);
        let (verdicts, counted) = rate_limit::count(api, &caller, address, by_address).await;

        let keyed = request.method() == Method::POST && is_keyed(&request) && !caller.is_refused();
        let scope =
            caller.caller().map_or_else(|| "anonymous".to_owned(), |caller| caller.user_id.to_string());
        request.extensions_mut().insert(caller);
        let answer: ApiResult<Response> = match (counted, context, route) {
            (Err(refusal), ..) | (_, Err(refusal), _) => Err(refusal),
            (Ok(()), Ok(context), Some(route)) if keyed => {
                let timeout = api.settings.request_timeout;
                let scope = Scope { caller: scope, route: &route, request_id: &context.request_id, timeout };
                run_once(&api.db, scope, request, next).await
            }
            _ => Ok(next.run(request).await),
        };
        let mut response = answer.unwrap_or_else(IntoResponse::into_response);
        rate_limit::tell(&verdicts, response.headers_mut());
        response
    }
}

/// The 500 of a handler that panicked. What it said and where, the program's panic hook has logged, inside the
/// request's span.
pub(crate) fn answer_panic() -> ApiError {
    ErrorCode::InternalError.into()
}

fn answer_timeout() -> ApiError {
    ApiError::new(ErrorCode::Unavailable)
        .message("The request took too long; it is not known whether it took effect.")
        .retry_after(Duration::from_secs(1))
}
