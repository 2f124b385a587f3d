//! Tests the binary under the Lambda emulator, on the databases that it uses on AWS, and as a server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use serde_json::json;
use switchyard_harness::emulator::Emulator;
use switchyard_harness::identity::{access_token_of_admin, identity_environment};
use switchyard_harness::process::Process;
use switchyard_harness::secrets_manager::SecretsManager;
use switchyard_harness::store::{Backend, Store};
use switchyard_harness::template::assert_alarms_can_go_off;

const BINARY: &str = env!("CARGO_BIN_EXE_switchyard-fn-users");

async fn users_are_served_as_a_function_on(backend: Backend) {
    let store = Store::migrated(backend).await.unwrap();
    let authorization = format!("Bearer {}", access_token_of_admin(&store).await.unwrap());
    let environment = [store.environment(), identity_environment()].concat();
    let function = Emulator::start(Path::new(BINARY), &environment).await.unwrap();

    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let answer = function.invoke("GET", "/api/v1/users?limit=1", &headers, "").await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?} {}", function.output());
    let id = answer.json()["data"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/users/{id}");
    let etag = function.invoke("GET", &path, &headers, "").await.unwrap().header("etag").unwrap().to_owned();

    let guarded = [&headers[..], &[("if-match", etag.as_str())]].concat();
    let answer = function.invoke("PATCH", &path, &guarded, r#"{"name":"山田"}"#).await.unwrap();
    assert_eq!((answer.status, &answer.json()["name"]), (200, &json!("山田")));
    let answer = function.invoke("PATCH", &path, &guarded, r#"{"name":"X"}"#).await.unwrap();
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (412, &json!("PRECONDITION_FAILED")));
    let answer = function.invoke("GET", "/api/v1/users", &[], "").await.unwrap();
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (401, &json!("UNAUTHENTICATED")));
    assert_alarms_can_go_off("users", &function.output()).unwrap();
}

#[tokio::test]
async fn users_are_served_as_a_function_on_dynamodb() {
    users_are_served_as_a_function_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn users_are_served_as_a_function_on_postgres() {
    users_are_served_as_a_function_on(Backend::Postgres).await;
}

/// A function reads from Secrets Manager what it declares, and needs no other key to verify tokens.
async fn a_secret_with_the_audit_key_alone_is_enough_on(backend: Backend) {
    let store = Store::migrated(backend).await.unwrap();
    let authorization = format!("Bearer {}", access_token_of_admin(&store).await.unwrap());
    let (secret, _): (Vec<_>, Vec<_>) =
        identity_environment().into_iter().partition(|(name, _)| name == "AUDIT_KEY");
    let manager = SecretsManager::start(&secret).await.unwrap();
    let environment = [store.environment(), manager.environment()].concat();
    let function = Emulator::start(Path::new(BINARY), &environment).await.unwrap();
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let answer = function.invoke("POST", "/api/v1/roles", &headers, r#"{"name":"night","permissions":[]}"#);
    let answer = answer.await.unwrap();
    assert_eq!(answer.status, 201, "{answer:?} {}", function.output());
    assert_eq!(manager.take_requests(), 1);
    let answer = function.invoke("GET", "/api/v1/audit-logs/verify", &headers, "").await.unwrap();
    assert_eq!((answer.status, &answer.json()["valid"]), (200, &json!(true)));
}

#[tokio::test]
async fn a_secret_with_the_audit_key_alone_is_enough_on_dynamodb() {
    a_secret_with_the_audit_key_alone_is_enough_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn a_secret_with_the_audit_key_alone_is_enough_on_postgres() {
    a_secret_with_the_audit_key_alone_is_enough_on(Backend::Postgres).await;
}

#[tokio::test]
async fn outside_of_lambda_the_binary_is_a_server() {
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let mut command = Command::new(BINARY);
    command.envs(store.environment()).envs(identity_environment());
    let mut process = Process::start_server(command).unwrap();
    process.wait_until_it_answers("/api/v1/users").await.unwrap();
    let answer = reqwest::get(format!("{}/api/v1/users", process.base_url)).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(process.terminate().unwrap(), Some(0));
}
