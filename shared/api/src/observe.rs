//! What happened to each request, for whoever counts.

use std::fmt::Debug;
use std::time::Duration;

use axum::http::{Method, StatusCode};

/// Watches requests. The runtime makes metrics of what it sees.
pub trait Observer: Debug + Send + Sync + 'static {
    /// A request has come in.
    fn started(&self);

    /// A request is over, answered or not.
    fn finished(&self, outcome: &Outcome<'_>);
}

/// What happened to a request.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The method, `OTHER` where it is none of the usual ones: what a client makes up must not become a label.
    pub method: &'a str,
    /// The route's pattern, as `/api/v1/users/{id}`; `unmatched` where there is none.
    pub route: &'a str,
    /// The status; `None` when the client went away before the answer.
    pub status: Option<StatusCode>,
    /// How long it took.
    pub latency: Duration,
}

/// Watches nothing.
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
