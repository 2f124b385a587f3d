use std::io::Write as _;

use serde_json::{Value, json};
use switchyard_ambient::{Ambient, Timestamp};
use switchyard_api::{Observer, Outcome};

/// The namespace of the metrics in CloudWatch.
const NAMESPACE: &str = "Switchyard";

/// The metrics of a function. Each request writes a line in CloudWatch's embedded metric format, from which
/// CloudWatch creates the metrics without a call to it.
#[derive(Debug)]
pub(super) struct Embedded {
    function: String,
    ambient: Ambient,
}

impl Embedded {
    pub(super) fn new(function: String, ambient: Ambient) -> Self {
        Self { function, ambient }
    }
}

impl Embedded {
    /// Writes a line with these counts.
    pub(super) fn count(&self, counts: &[(&str, u64)]) {
        write(&line_of_counts(&self.function, counts, self.ambient.now()));
    }
}

/// Writes a line under the lock, so that lines of concurrent requests do not mix. A failure does not matter.
fn write(line: &Value) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn line_of_counts(function: &str, counts: &[(&str, u64)], now: Timestamp) -> Value {
    let metrics: Vec<_> = counts.iter().map(|(name, _)| json!({ "Name": name, "Unit": "Count" })).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": now.as_millis(),
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [["Function"]], "Metrics": metrics }],
        },
        "Function": function,
    });
    for (name, count) in counts {
        line[*name] = json!(count);
    }
    line
}

impl Observer for Embedded {
    fn started(&self) {}

    fn finished(&self, outcome: &Outcome<'_>) {
        write(&line(&self.function, outcome, self.ambient.now()));
    }
}

/// The dimensions are the function, for one alarm each, and the route, for details.
fn line(function: &str, outcome: &Outcome<'_>, now: Timestamp) -> Value {
    let status = outcome.status.map_or(0, |status| status.as_u16());
    json!({
        "_aws": {
            "Timestamp": now.as_millis(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Function"], ["Function", "Route"]],
                "Metrics": [
                    { "Name": "Requests", "Unit": "Count" },
                    { "Name": "ClientErrors", "Unit": "Count" },
                    { "Name": "ServerErrors", "Unit": "Count" },
                    { "Name": "Latency", "Unit": "Milliseconds" },
                    { "Name": "ColdStarts", "Unit": "Count" },
                ],
            }],
        },
        "Function": function,
        "Route": format!("{} {}", outcome.method, outcome.route),
        "Status": status,
        "Requests": 1,
        "ClientErrors": u8::from((400..500).contains(&status)),
        "ServerErrors": u8::from(status >= 500),
        "Latency": outcome.latency.as_secs_f64() * 1e3,
        "ColdStarts": u8::from(outcome.is_cold_start),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn a_line_declares_its_metrics_and_contains_their_values() {
        let outcome = Outcome {
            method: "GET",
            route: "/api/v1/users/{id}",
            status: Some(StatusCode::SERVICE_UNAVAILABLE),
            latency: Duration::from_micros(12_500),
            is_cold_start: true,
        };
        let line = line("users", &outcome, Timestamp::from_micros(1_700_000_000_000_000));
        assert_eq!(line["_aws"]["Timestamp"], 1_700_000_000_000_i64);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        for dimension in
            directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap())
        {
            assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension}");
        }
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
        }
        assert_eq!(line["Route"], "GET /api/v1/users/{id}");
        assert_eq!(line["Latency"], 12.5);
        assert_eq!((&line["ClientErrors"], &line["ServerErrors"]), (&json!(0), &json!(1)));
        assert_eq!(line["ColdStarts"], 1);
    }
}
