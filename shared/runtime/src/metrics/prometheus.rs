use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use switchyard_api::{Observer, Outcome};
use switchyard_jobs::{EndedAttempt, JobObserver};

/// The buckets, in seconds: from half a millisecond, the time of reading one document, to the time-out.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0];

/// The buckets of jobs, in seconds: from a millisecond to an hour.
const JOB_SECONDS: &[f64] =
    &[0.001, 0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0];

/// The status of a request whose client disconnected, as in nginx.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The metrics of a server process, for Prometheus.
///
/// - `http_requests_total{method,route,status}`
/// - `http_request_duration_seconds{method,route}`
/// - `http_requests_in_flight`
/// - `database_call_duration_seconds{call,outcome}`
/// - `jobs_total{kind,outcome}`: attempts, by the state in which they left the job
/// - `job_duration_seconds{kind}`
/// - `job_lag_seconds{priority}`: from when a job was due until its attempt began
#[derive(Debug)]
pub(super) struct Process {
    registry: Registry,
    requests: IntCounterVec,
    latency: HistogramVec,
    in_flight: IntGauge,
    calls: HistogramVec,
    jobs: IntCounterVec,
    job_duration: HistogramVec,
    job_lag: HistogramVec,
}

impl Process {
    pub(super) fn new() -> prometheus::Result<Self> {
        let requests = IntCounterVec::new(
            Opts::new("http_requests_total", "Requests that were answered."),
            &["method", "route", "status"],
        )?;
        let latency = HistogramVec::new(
            HistogramOpts::new(
                "http_request_duration_seconds",
                "The time from the head of the request to the head of the answer.",
            )
            .buckets(SECONDS.to_vec()),
            &["method", "route"],
        )?;
        let in_flight = IntGauge::new("http_requests_in_flight", "Requests that are being answered.")?;
        let calls = HistogramVec::new(
            HistogramOpts::new("database_call_duration_seconds", "The time of database calls.")
                .buckets(SECONDS.to_vec()),
            &["call", "outcome"],
        )?;
        let jobs = IntCounterVec::new(
            Opts::new("jobs_total", "Attempts at jobs, by the state in which they left the job."),
            &["kind", "outcome"],
        )?;
        let job_duration = HistogramVec::new(
            HistogramOpts::new("job_duration_seconds", "The time of attempts at jobs.")
                .buckets(JOB_SECONDS.to_vec()),
            &["kind"],
        )?;
        let job_lag = HistogramVec::new(
            HistogramOpts::new(
                "job_lag_seconds",
                "The time from when a job was due until its attempt began.",
            )
            .buckets(JOB_SECONDS.to_vec()),
            &["priority"],
        )?;
        let registry = Registry::new();
        registry.register(Box::new(jobs.clone()))?;
        registry.register(Box::new(job_duration.clone()))?;
        registry.register(Box::new(job_lag.clone()))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(latency.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(calls.clone()))?;
        Ok(Self { registry, requests, latency, in_flight, calls, jobs, job_duration, job_lag })
    }

    pub(super) fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    pub(super) fn observe_call(&self, call: &str, outcome: &str, seconds: f64) {
        self.calls.with_label_values(&[call, outcome]).observe(seconds);
    }
}

impl JobObserver for Process {
    fn began(&self, priority: &'static str, lag: Duration) {
        self.job_lag.with_label_values(&[priority]).observe(lag.as_secs_f64());
    }

    fn ended(&self, attempt: &EndedAttempt<'_>) {
        self.jobs.with_label_values(&[attempt.kind, attempt.outcome]).inc();
        self.job_duration.with_label_values(&[attempt.kind]).observe(attempt.took.as_secs_f64());
    }
}

impl Observer for Process {
    fn started(&self) {
        self.in_flight.inc();
    }

    fn finished(&self, outcome: &Outcome<'_>) {
        self.in_flight.dec();
        let status = outcome.status.map_or(CLIENT_CLOSED_REQUEST, |status| status.as_u16()).to_string();
        self.requests.with_label_values(&[outcome.method, outcome.route, &status]).inc();
        self.latency
            .with_label_values(&[outcome.method, outcome.route])
            .observe(outcome.latency.as_secs_f64());
    }
}
