//! Tests the binary under the Lambda emulator, on the databases that it uses on AWS, and as a server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use serde_json::json;
use switchyard_harness::emulator::Emulator;
use switchyard_harness::identity::{ADMIN_ENVIRONMENT, EMAIL, identity_environment};
use switchyard_harness::process::Process;
use switchyard_harness::store::{Backend, Store};
use switchyard_harness::template::assert_alarms_can_go_off;

const BINARY: &str = env!("CARGO_BIN_EXE_switchyard-fn-accounts");

async fn accounts_are_served_as_a_function_on(backend: Backend) {
    let store = Store::migrated(backend).await.unwrap();
    let environment = [store.environment(), identity_environment()].concat();
    let function = Emulator::start(Path::new(BINARY), &environment).await.unwrap();

    let headers = [("content-type", "application/json"), ("x-request-id", "abc-1")];
    let account =
        json!({"email": "zoë@example.org", "password": "a-fairly-long-passphrase-7", "name": "Zoë 山田"});
    let answer =
        function.invoke("POST", "/api/v1/auth/register", &headers, &account.to_string()).await.unwrap();
    assert_eq!(answer.status, 201, "{answer:?} {}", function.output());
    assert_eq!(answer.header("x-request-id"), Some("abc-1"));
    let registered = answer.json();
    let token = registered["access_token"].as_str().unwrap();
    let location = format!("/api/v1/users/{}", registered["user"]["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), Some(location.as_str()));

    let authorization = format!("Bearer {token}");
    let answer =
        function.invoke("GET", "/api/v1/auth/me", &[("authorization", &authorization)], "").await.unwrap();
    assert_eq!((answer.status, answer.json()), (200, registered["user"].clone()));

    let answer =
        function.invoke("POST", "/api/v1/auth/register", &headers, &account.to_string()).await.unwrap();
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (409, &json!("EMAIL_TAKEN")));
    assert_alarms_can_go_off("accounts", &function.output()).unwrap();
}

#[tokio::test]
async fn accounts_are_served_as_a_function_on_dynamodb() {
    accounts_are_served_as_a_function_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn accounts_are_served_as_a_function_on_postgres() {
    accounts_are_served_as_a_function_on(Backend::Postgres).await;
}

#[tokio::test]
async fn outside_of_lambda_the_binary_is_a_server_that_creates_the_first_admin() {
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let mut command = Command::new(BINARY);
    command.envs(store.environment()).envs(identity_environment());
    command.envs(ADMIN_ENVIRONMENT);
    let mut process = Process::start_server(command).unwrap();
    process.wait_until_it_answers("/api/v1/auth/me").await.unwrap();
    let account = json!({"email": EMAIL, "password": "a-fairly-long-passphrase-7", "name": "Root"});
    let register = reqwest::Client::new().post(format!("{}/api/v1/auth/register", process.base_url));
    let answer = register.json(&account).send().await.unwrap();
    let status = answer.status().as_u16();
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("EMAIL_TAKEN")));
    assert_eq!(process.terminate().unwrap(), Some(0));
}
