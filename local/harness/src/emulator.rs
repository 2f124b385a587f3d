//! Runs a function's binary under the AWS Lambda Runtime Interface Emulator, with the real runtime protocol.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::app::Answer;
use crate::process::{Process, free_port};
use crate::required;

/// The source address of requests, as the gateway reports it.
pub const SOURCE_IP: &str = "203.0.113.7";

/// The trace in X-Ray of every request.
pub const XRAY_TRACE_ID: &str = "1-5759e988-bd862e3fe1be46a994272793";
/// The header in which the gateway passes the trace on.
const XRAY_HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// The emulator, running one function.
#[derive(Debug)]
pub struct Emulator {
    process: Process,
    client: reqwest::Client,
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
        Ok(Self { process, client: reqwest::Client::new() })
    }

    /// Sends one HTTP request to the function.
    pub async fn invoke(
        &self,
        method: &str,
        path_and_query: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(path_and_query);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(&request.body(Bytes::copy_from_slice(body.as_bytes()))?).await
    }

    /// Sends one HTTP request to the function, as an [`event`]. Returns the answer that API Gateway would send
    /// to the client.
    pub async fn send(&self, request: &Request<Bytes>) -> anyhow::Result<Answer> {
        let answer = self.invoke_event(&event(request)).await?;
        read_answer(&answer).with_context(|| {
            format!("the function answered {answer} and printed:\n{}", self.process.output())
        })
    }

    /// Sends one event. Returns the function's result.
    pub async fn invoke_event(&self, event: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/2015-03-31/functions/function/invocations", self.process.base_url);
        let answer = self.client.post(url).body(event.to_string()).send().await?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }

    /// The memory that the function uses (its resident set).
    pub fn megabytes(&self) -> anyhow::Result<f64> {
        self.process.megabytes_of_children()
    }

    /// What the function and the emulator have printed since the last call.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

fn read_answer(answer: &Value) -> anyhow::Result<Answer> {
    let status = answer["statusCode"].as_u64().context("there is no status")?.try_into()?;
    let mut headers = HeaderMap::new();
    // The gateway sends each of these headers once, and each cookie in a separate `Set-Cookie` header.
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().context("a header is not text")?;
        headers.append(HeaderName::try_from(name)?, value.parse()?);
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        headers.append(header::SET_COOKIE, cookie.as_str().context("a cookie is not text")?.parse()?);
    }
    let body = answer["body"].as_str().unwrap_or_default();
    let body = match answer["isBase64Encoded"].as_bool() {
        Some(true) => STANDARD.decode(body)?,
        _ => body.as_bytes().to_vec(),
    };
    Ok(Answer { status, headers, body: body.into() })
}

/// A request as an API Gateway HTTP API sends it to a function (payload format 2.0):
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>.
///
/// The path is decoded, the lines of a header are joined, cookies have their own field, and a body that is not
/// text is in base64.
pub fn event(request: &Request<Bytes>) -> Value {
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
    let mut headers = serde_json::Map::new();
    for name in request.headers().keys().filter(|name| *name != header::COOKIE) {
        headers.insert(name.to_string(), json!(texts(request.headers(), name).join(",")));
    }
    headers.entry("host").or_insert_with(|| json!("api.example.com"));
    headers.insert("x-amzn-trace-id".to_owned(), json!(XRAY_HEADER));
    let cookies = texts(request.headers(), &header::COOKIE).join("; ");
    let cookies: Vec<_> = cookies.split("; ").filter(|cookie| !cookie.is_empty()).collect();
    let (body, is_encoded) = match std::str::from_utf8(request.body()) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (STANDARD.encode(request.body()), true),
    };
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.uri().query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": request.method().as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": SOURCE_IP,
                "userAgent": "harness"
            },
            "requestId": "request",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2026:19:03:58 +0000",
            "timeEpoch": 1_773_342_238_000_i64
        },
        "isBase64Encoded": is_encoded
    });
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !body.is_empty() {
        event["body"] = json!(body);
    }
    event
}

/// The lines of a header.
fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect()
}
