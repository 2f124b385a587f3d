//! Metrics: Prometheus text in a server process, lines in CloudWatch's embedded metric format on Lambda.

mod database;
mod embedded;
mod prometheus;

use std::sync::Arc;

use switchyard_ambient::Ambient;
use switchyard_api::Observer;
use switchyard_database::Database;
use switchyard_jobs::{JobObserver, NoJobObserver};

use database::Timed;
use embedded::Embedded;
use prometheus::Process;

/// Collects the metrics of this process, or writes them to the logs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    kind: Kind,
    are_public: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Process(Arc<Process>),
    Embedded(Arc<Embedded>),
}

/// The metrics could not be set up or rendered.
#[derive(Debug, thiserror::Error)]
#[error("the metrics could not be set up or rendered")]
pub struct MetricsError(#[from] ::prometheus::Error);

impl Metrics {
    /// Metrics that are collected in this process, for `GET /metrics`.
    pub fn in_process() -> Result<Self, MetricsError> {
        Ok(Self { kind: Kind::Process(Arc::new(Process::new()?)), are_public: true })
    }

    /// Metrics that are written to standard output, under the name of a function.
    pub(crate) fn embedded(function: String, ambient: Ambient) -> Self {
        Self { kind: Kind::Embedded(Arc::new(Embedded::new(function, ambient))), are_public: true }
    }

    /// Sets whether anyone may ask for the metrics and for other facts about the process, such as its version (`DIAGNOSTICS`).
    #[must_use]
    pub(crate) fn public(self, are_public: bool) -> Self {
        Self { are_public, ..self }
    }

    /// Whether anyone may ask for the metrics and for other facts about the process.
    pub fn are_public(&self) -> bool {
        self.are_public
    }

    /// The answer of `GET /metrics`: Prometheus text, version 0.0.4. `None` if they are not public, and on Lambda, where
    /// nothing is collected.
    pub fn render(&self) -> Option<Result<String, MetricsError>> {
        match &self.kind {
            Kind::Process(_) if !self.are_public => None,
            Kind::Process(process) => Some(process.render().map_err(MetricsError)),
            Kind::Embedded(_) => None,
        }
    }

    /// The media type of the text that [`render`](Self::render) returns.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// The observer that collects the metrics of requests.
    pub fn observer(&self) -> Arc<dyn Observer> {
        match &self.kind {
            Kind::Process(process) => Arc::clone(process) as _,
            Kind::Embedded(embedded) => Arc::clone(embedded) as _,
        }
    }

    /// The observer that collects the metrics of jobs in a server process.
    pub fn job_observer(&self) -> Arc<dyn JobObserver> {
        match &self.kind {
            Kind::Process(process) => Arc::clone(process) as _,
            Kind::Embedded(_) => Arc::new(NoJobObserver),
        }
    }

    /// Counts events on Lambda, each under the name of a metric, with the function as dimension. A server does not count
    /// them.
    pub fn count(&self, counts: &[(&str, u64)]) {
        if let Kind::Embedded(embedded) = &self.kind {
            embedded.count(counts);
        }
    }

    /// Wraps `database` so that its calls are timed, if metrics are collected in this process.
    pub(crate) fn time(&self, database: Arc<dyn Database>) -> Arc<dyn Database> {
        match &self.kind {
            Kind::Process(process) => Arc::new(Timed::new(database, Arc::clone(process))),
            Kind::Embedded(_) => database,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::StatusCode;
    use switchyard_api::Outcome;
    use switchyard_jobs::EndedAttempt;

    use super::*;

    #[test]
    fn attempts_at_jobs_are_counted_by_kind_and_outcome() {
        let metrics = Metrics::in_process().unwrap();
        let observer = metrics.job_observer();
        observer.began("urgent", Duration::from_millis(20));
        for outcome in ["succeeded", "succeeded", "dead"] {
            observer.ended(&EndedAttempt { kind: "mail.send", outcome, took: Duration::from_millis(30) });
        }
        let text = metrics.render().unwrap().unwrap();
        let has = |line: &str| assert!(text.lines().any(|other| other == line), "{line}\nis not in\n{text}");
        has(r#"jobs_total{kind="mail.send",outcome="succeeded"} 2"#);
        has(r#"jobs_total{kind="mail.send",outcome="dead"} 1"#);
        has(r#"job_duration_seconds_bucket{kind="mail.send",le="0.025"} 0"#);
        has(r#"job_duration_seconds_bucket{kind="mail.send",le="0.05"} 3"#);
        has(r#"job_lag_seconds_bucket{priority="urgent",le="0.025"} 1"#);
    }

    #[test]
    fn requests_are_counted_by_route_method_and_status() {
        let metrics = Metrics::in_process().unwrap();
        let observer = metrics.observer();
        let outcome = |status| Outcome {
            method: "GET",
            route: "/healthz",
            status,
            latency: Duration::from_millis(2),
            is_cold_start: false,
        };
        for status in [Some(StatusCode::OK), Some(StatusCode::OK), None] {
            observer.started();
            observer.finished(&outcome(status));
        }
        observer.started();
        let text = metrics.render().unwrap().unwrap();
        let has = |line: &str| assert!(text.lines().any(|other| other == line), "{line}\nis not in\n{text}");
        has(r#"http_requests_total{method="GET",route="/healthz",status="200"} 2"#);
        has(r#"http_requests_total{method="GET",route="/healthz",status="499"} 1"#);
        has(r#"http_request_duration_seconds_bucket{method="GET",route="/healthz",le="0.001"} 0"#);
        has(r#"http_request_duration_seconds_bucket{method="GET",route="/healthz",le="0.0025"} 3"#);
        has("# TYPE http_requests_total counter");
        has("http_requests_in_flight 1");
    }
}
