//! Reports each request to the metrics.

use std::fmt::Debug;
use std::time::Duration;

use axum::http::{Method, StatusCode};

/// Is notified of requests. The runtime implements it for the metrics.
pub trait Observer: Debug + Send + Sync + 'static {
    /// A request has arrived.
    fn started(&self);

    /// A request has ended, with or without an answer.
    fn finished(&self, outcome: &Outcome<'_>);
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The method, or `OTHER` if it is not a standard one: text that a client makes up must not become a label.
    pub method: &'a str,
    /// The route's pattern, as in `/api/v1/users/{id}`, or `unmatched` if there is none.
    pub route: &'a str,
    /// The status; `None` if the client disconnected before the answer.
    pub status: Option<StatusCode>,
    /// How long the request took.
    pub latency: Duration,
    /// Whether it was the first request of a function's instance.
    pub is_cold_start: bool,
}

/// An observer that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn started(&self) {}

    fn finished(&self, _outcome: &Outcome<'_>) {}
}

/// The method as a label.
pub(crate) fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
