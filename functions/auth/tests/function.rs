//! Tests the binary under the Lambda emulator, on the databases that it uses on AWS, and as a server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use serde_json::json;
use switchyard_harness::app::PASSWORD;
use switchyard_harness::emulator::Emulator;
use switchyard_harness::identity::{EMAIL, access_token_of_admin, identity_environment};
use switchyard_harness::process::Process;
use switchyard_harness::store::{Backend, Store};
use switchyard_harness::template::assert_alarms_can_go_off;

const BINARY: &str = env!("CARGO_BIN_EXE_switchyard-fn-auth");

async fn sign_ins_are_served_as_a_function_on(backend: Backend) {
    let store = Store::migrated(backend).await.unwrap();
    let environment = [store.environment(), identity_environment()].concat();
    let function = Emulator::start(Path::new(BINARY), &environment).await.unwrap();

    access_token_of_admin(&store).await.unwrap(); // creates the admin
    let headers = [("content-type", "application/json"), ("x-request-id", "abc-1")];
    let credentials = json!({"email": EMAIL, "password": PASSWORD}).to_string();
    let answer = function.invoke("POST", "/api/v1/auth/login", &headers, &credentials).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?} {}", function.output());
    assert_eq!(answer.header("x-request-id"), Some("abc-1"));
    let refresh = json!({"refresh_token": answer.json()["refresh_token"]}).to_string();
    let answer = function.invoke("POST", "/api/v1/auth/refresh", &headers, &refresh).await.unwrap();
    assert_eq!((answer.status, &answer.json()["user"]["email"]), (200, &json!(EMAIL)));

    let answer = function.invoke("POST", "/api/v1/auth/login", &headers, "{").await.unwrap();
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!("VALIDATION_ERROR")));
    let answer = function.invoke("GET", "/api/v1/nothing", &headers, "").await.unwrap();
    let error = &answer.json()["error"];
    assert_eq!(
        (answer.status, &error["code"], &error["request_id"]),
        (404, &json!("NOT_FOUND"), &json!("abc-1"))
    );
    assert_alarms_can_go_off("auth", &function.output()).unwrap();
}

#[tokio::test]
async fn sign_ins_are_served_as_a_function_on_dynamodb() {
    sign_ins_are_served_as_a_function_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn sign_ins_are_served_as_a_function_on_postgres() {
    sign_ins_are_served_as_a_function_on(Backend::Postgres).await;
}

#[tokio::test]
async fn outside_of_lambda_the_binary_is_a_server() {
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let mut command = Command::new(BINARY);
    command.envs(store.environment()).envs(identity_environment());
    let mut process = Process::start_server(command).unwrap();
    process.wait_until_it_answers("/.well-known/jwks.json").await.unwrap();
    let keys: serde_json::Value = reqwest::get(format!("{}/.well-known/jwks.json", process.base_url))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(keys["keys"][0]["kty"], "RSA");
    assert_eq!(process.terminate().unwrap(), Some(0));
}
