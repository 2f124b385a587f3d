use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use switchyard_kernel::UserId;
use tracing::Instrument;

use super::Api;
use super::gate::SentBy;
use super::headers::add_standing_headers;
use crate::error::render;
use crate::observe::{Observer, Outcome, label};
use crate::request::context_of;
use crate::trace::Trace;

/// The outermost layer: creates the request's context, and logs and reports the outcome.
pub(super) async fn watch(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let context = context_of(request.headers(), request.extensions(), &api);
    let mut watched = Watched::start(&api, context.request_id.clone(), &request);
    let span = tracing::info_span!(
        "request",
        request_id = &*watched.id,
        method = watched.method,
        route = watched.route(),
        trace_id = watched.trace.trace_id,
        xray_trace_id = watched.trace.xray_trace_id,
    );
    request.extensions_mut().insert(Arc::new(context));
    request.extensions_mut().insert(api);
    let mut response = render(next.run(request).instrument(span).await, &watched.id);
    add_standing_headers(&mut response, &watched.id);
    watched.user_id = response.extensions().get::<SentBy>().map(|sent_by| sent_by.0);
    watched.end(response.status());
    response
}

/// A request that is being answered. It is reported once: when it ends, or when it is dropped because the
/// client disconnected.
struct Watched {
    observer: Arc<dyn Observer>,
    id: String,
    method: &'static str,
    route: Option<MatchedPath>,
    uri: Uri,
    trace: Trace,
    user_id: Option<UserId>,
    started: Instant,
    reported: bool,
}

impl Watched {
    fn start(api: &Api, id: String, request: &Request) -> Self {
        api.observer.started();
        Self {
            observer: Arc::clone(&api.observer),
            id,
            method: label(request.method()),
            route: request.extensions().get::<MatchedPath>().cloned(),
            uri: request.uri().clone(),
            trace: Trace::of(request.headers(), request.extensions()),
            user_id: None,
            started: Instant::now(),
            reported: false,
        }
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or("unmatched", MatchedPath::as_str)
    }

    fn end(mut self, status: StatusCode) {
        self.report(Some(status));
    }

    /// Writes the request's log line, and reports the request to the observer.
    ///
    /// The line has its own fields and is written outside of the request's span: the JSON of a span would be parsed and
    /// written again for each line, which took longer than all layers together, and would say everything twice. Only the
    /// path of the URI is logged, since the query may contain private data.
    fn report(&mut self, status: Option<StatusCode>) {
        self.reported = true;
        let latency = self.started.elapsed();
        let Trace { trace_id, xray_trace_id, is_cold_start } = &self.trace;
        tracing::info!(
            target: "access",
            parent: None,
            request_id = &*self.id,
            method = self.method,
            route = self.route(),
            path = self.uri.path(),
            status = status.map(|status| status.as_u16()),
            latency_ms = (latency.as_secs_f64() * 1e6).round() / 1e3, // to the microsecond
            user_id = self.user_id.map(tracing::field::display),
            trace_id,
            xray_trace_id,
            cold_start = is_cold_start.then_some(true),
            "{}", if status.is_some() { "answered" } else { "the client disconnected" },
        );
        let is_cold_start = *is_cold_start;
        let (method, route) = (self.method, self.route());
        self.observer.finished(&Outcome { method, route, status, latency, is_cold_start });
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.reported {
            self.report(None);
        }
    }
}
