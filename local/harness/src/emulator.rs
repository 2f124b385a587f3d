//! A function's binary under the AWS Lambda Runtime Interface Emulator: the real runtime protocol, on this machine.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use base64::Engine as _;
use serde_json::{Value, json};

use crate::process::{Process, free_port};
use crate::required;

/// The emulator, with one function in it.
#[derive(Debug)]
pub struct Emulator {
    process: Process,
}

/// What API Gateway would send to its client.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decoded where it was sent as base64.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Emulator {
    /// Starts `binary` as a function with these variables in its environment.
    pub async fn start(binary: &Path, environment: &[(String, String)]) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(required("TEST_LAMBDA_EMULATOR"));
        command
            .args(["--log-level", "warn"])
            .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{port}")])
            .args(["--runtime-api-address", &format!("127.0.0.1:{}", free_port()?)])
            .arg(binary)
            .envs(environment.iter().cloned());
        let mut process = Process::start(command, format!("http://127.0.0.1:{port}"))?;
        process.wait_until_it_answers("/").await?;
        Ok(Self { process })
    }

    /// Sends one HTTP request to the function, as an event of an API Gateway HTTP API (payload format 2.0).
    pub async fn invoke(
        &self,
        method: &str,
        path_and_query: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<Answer> {
        let answer: Value = self.invoke_event(&event(method, path_and_query, headers, body)).await?;
        let status = answer["statusCode"].as_u64().and_then(|status| status.try_into().ok());
        let status = status.with_context(|| {
            format!("the function answered {answer} and printed:\n{}", self.process.output())
        })?;
        let mut headers = Vec::new();
        for field in ["headers", "multiValueHeaders"] {
            for (name, value) in answer[field].as_object().into_iter().flatten() {
                let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                for value in values {
                    headers.push((name.to_ascii_lowercase(), value.as_str().unwrap_or_default().to_owned()));
                }
            }
        }
        headers.dedup();
        let body = answer["body"].as_str().unwrap_or_default();
        let body = match answer["isBase64Encoded"].as_bool() {
            Some(true) => base64::engine::general_purpose::STANDARD.decode(body)?,
            _ => body.as_bytes().to_vec(),
        };
        Ok(Answer { status, headers, body })
    }

    /// Sends one event and returns what the function returned.
    pub async fn invoke_event(&self, event: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/2015-03-31/functions/function/invocations", self.process.base_url);
        let answer = reqwest::Client::new().post(url).body(event.to_string()).send().await?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }

    /// What the function and the emulator have printed since this was last asked.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

/// An event as in
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>.
pub fn event(method: &str, path_and_query: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let mut names: serde_json::Map<String, Value> =
        headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), json!(value))).collect();
    names.entry("host").or_insert_with(|| json!("api.example.com"));
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": names,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "harness"
            },
            "requestId": "request",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2026:19:03:58 +0000",
            "timeEpoch": 1_773_342_238_000_i64
        },
        "body": body,
        "isBase64Encoded": false
    })
}
