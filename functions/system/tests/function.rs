//! Tests the binary under the Lambda emulator, on the databases that it uses on AWS, and as a server. It gets
//! no secrets, since it needs none.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use switchyard_harness::emulator::{Emulator, XRAY_TRACE_ID};
use switchyard_harness::process::Process;
use switchyard_harness::store::{Backend, Store};
use switchyard_harness::template::assert_alarms_can_go_off;

const BINARY: &str = env!("CARGO_BIN_EXE_switchyard-fn-system");

async fn the_state_is_served_as_a_function_on(backend: Backend) {
    let store = Store::migrated(backend).await.unwrap();
    let function = Emulator::start(Path::new(BINARY), &store.environment()).await.unwrap();
    for path in ["/healthz", "/readyz"] {
        let answer = function.invoke("GET", path, &[], "").await.unwrap();
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({"status": "ok"})),
            "{path} {}",
            function.output()
        );
    }
    // The lines of requests name the trace, and the first one is marked as a cold start.
    let output = function.output();
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let access: Vec<Value> = lines.filter(|line| line["target"] == "access").collect();
    let told = |name: &str| access.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
    assert_eq!(told("xray_trace_id"), [XRAY_TRACE_ID, XRAY_TRACE_ID]);
    assert_eq!(told("cold_start"), [json!(true), Value::Null]);
    let answer = function.invoke("GET", "/openapi.json", &[("accept-encoding", "gzip")], "").await.unwrap();
    assert_eq!((answer.status, answer.header("content-encoding")), (200, Some("gzip")));
    let answer = function.invoke("GET", "/", &[("accept", "text/html,*/*")], "").await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (307, Some("docs/")));
    let answer = function.invoke("GET", "/", &[("accept", "*/*")], "").await.unwrap();
    assert_eq!((answer.status, &answer.json()["openapi"]), (200, &json!("openapi.json")));
    let answer = function.invoke("GET", "/docs/", &[], "").await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html")));
    let page = String::from_utf8(answer.body.to_vec()).unwrap();
    let files: Vec<_> = page.split('"').filter_map(|part| part.strip_prefix("./")).collect();
    assert_eq!(files.len(), 5, "{page}");
    for file in files {
        let answer = function.invoke("GET", &format!("/docs/{file}"), &[], "").await.unwrap();
        assert!(answer.status == 200 && !answer.body.is_empty(), "{file}: {}", answer.status);
    }
    // On Lambda, metrics are written to the logs, and the version is nothing for strangers.
    for path in ["/metrics", "/health"] {
        let answer = function.invoke("GET", path, &[], "").await.unwrap();
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &json!("NOT_FOUND")));
    }
    assert_alarms_can_go_off("system", &function.output()).unwrap();
}

#[tokio::test]
async fn the_state_is_served_as_a_function_on_dynamodb() {
    the_state_is_served_as_a_function_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn the_state_is_served_as_a_function_on_postgres() {
    the_state_is_served_as_a_function_on(Backend::Postgres).await;
}

#[tokio::test]
async fn a_function_without_its_database_is_alive_and_not_ready() {
    let environment = [("DATABASE_URL".to_owned(), "postgres://nobody@127.0.0.1:1/none".to_owned())];
    let function = Emulator::start(Path::new(BINARY), &environment).await.unwrap();
    assert_eq!(function.invoke("GET", "/healthz", &[], "").await.unwrap().status, 200);
    let answer = function.invoke("GET", "/readyz", &[], "").await.unwrap();
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (503, &json!("UNAVAILABLE")));
    assert_eq!(answer.header("retry-after"), Some("2"));
}

#[tokio::test]
async fn outside_of_lambda_the_binary_is_a_server() {
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let mut command = Command::new(BINARY);
    command.envs(store.environment());
    let mut process = Process::serve(command).await.unwrap();
    let metrics = reqwest::get(format!("{}/metrics", process.base_url)).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("# TYPE"), "{metrics}");
    let health = reqwest::get(format!("{}/health", process.base_url)).await.unwrap();
    assert_eq!(health.status(), 200);
    assert_eq!(process.terminate().unwrap(), Some(0));
}

#[tokio::test]
async fn a_server_can_keep_its_diagnostics_private() {
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let mut command = Command::new(BINARY);
    command.envs(store.environment()).env("DIAGNOSTICS", "private");
    let process = Process::serve(command).await.unwrap();
    for (path, status) in [("/metrics", 404), ("/health", 404), ("/healthz", 200), ("/readyz", 200)] {
        let answer = reqwest::get(format!("{}{path}", process.base_url)).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
}
