//! Tests the binary under the Lambda emulator, on the databases that it uses on AWS, and as a server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use serde_json::json;
use switchyard_harness::emulator::Emulator;
use switchyard_harness::identity::{access_token_of_admin, identity_environment};
use switchyard_harness::process::Process;
use switchyard_harness::store::{Backend, Store};
use switchyard_harness::template::assert_alarms_can_go_off;

const BINARY: &str = env!("CARGO_BIN_EXE_switchyard-fn-admin");

async fn jobs_are_served_as_a_function_on(backend: Backend) {
    let store = Store::migrated(backend).await.unwrap();
    let authorization = format!("Bearer {}", access_token_of_admin(&store).await.unwrap());
    let environment = [store.environment(), identity_environment()].concat();
    let function = Emulator::start(Path::new(BINARY), &environment).await.unwrap();

    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let answer = function.invoke("POST", "/api/v1/admin/jobs/dead/retry", &headers, "{}").await.unwrap();
    assert_eq!(answer.status, 202, "{answer:?} {}", function.output());
    let status_url = answer.json()["status_url"].as_str().unwrap().to_owned();
    let answer = function.invoke("GET", &status_url, &headers, "").await.unwrap();
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("queued")));
    let answer = function.invoke("GET", "/api/v1/admin/jobs", &[], "").await.unwrap();
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (401, &json!("UNAUTHENTICATED")));
    assert_alarms_can_go_off("admin", &function.output()).unwrap();
}

#[tokio::test]
async fn jobs_are_served_as_a_function_on_dynamodb() {
    jobs_are_served_as_a_function_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn jobs_are_served_as_a_function_on_postgres() {
    jobs_are_served_as_a_function_on(Backend::Postgres).await;
}
#[tokio::test]
async fn outside_of_lambda_the_binary_is_a_server() {
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let mut command = Command::new(BINARY);
    command.envs(store.environment()).envs(identity_environment());
    let mut process = Process::start_server(command).unwrap();
    process.wait_until_it_answers("/api/v1/admin/jobs").await.unwrap();
    let answer = reqwest::get(format!("{}/api/v1/admin/jobs", process.base_url)).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(process.terminate().unwrap(), Some(0));
}
