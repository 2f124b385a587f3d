use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use tracing::field::Empty;

use super::Api;
use super::headers::add_standing_headers;
use crate::context::RequestContext;
use crate::error::render;
use crate::observe::{Observer, Outcome, label};

/// The outermost layer: gives the request its identity, and sees what becomes of it.
pub(super) async fn watch(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
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
