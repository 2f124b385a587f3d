use std::time::Duration;

use serde_json::json;

use crate::harness::{ADA, BOB, TestApi, assert_error, get, post};

#[tokio::test]
async fn without_a_token_the_answer_is_401_whatever_the_body() {
    let api = TestApi::new().await;
    let answer = api.send(post("/notes").json(json!({ "nonsense": true }))).await;
    assert_error(&answer, 401, "UNAUTHENTICATED");
    assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="switchyard""#);
}

#[tokio::test]
async fn a_bad_token_is_refused_with_the_reason() {
    let api = TestApi::new().await;
    let challenge = |reason: &str| {
        format!(
            r#"Bearer realm="switchyard", error="invalid_token", error_description="The access token {reason}""#
        )
    };
    for authorization in ["Bearer forged", "bearer a b", "Bearer", "Bearer ", "Bearer ä"] {
        let invalid = api.send(get("/notes").header("authorization", authorization)).await;
        assert_error(&invalid, 401, "TOKEN_INVALID");
        assert_eq!(invalid.header("www-authenticate"), challenge("is not valid"));
    }
    let expired = api.send(get("/notes").bearer("expired")).await;
    assert_error(&expired, 401, "TOKEN_EXPIRED");
    assert_eq!(expired.header("www-authenticate"), challenge("expired"));
    for authorization in ["Basic YTpi", "", "forged"] {
        let none = api.send(get("/notes").header("authorization", authorization)).await;
        assert_error(&none, 401, "UNAUTHENTICATED");
        assert_eq!(none.header("www-authenticate"), r#"Bearer realm="switchyard""#);
    }
}

#[tokio::test]
async fn a_bad_token_is_refused_if_the_token_is_optional() {
    let api = TestApi::new().await;
    assert_eq!(api.send(get("/whoami")).await.json()["user_id"], json!(null));
    assert_eq!(api.send(get("/whoami").bearer("bob")).await.json()["user_id"], BOB.to_string());
    assert_error(&api.send(get("/whoami").bearer("expired")).await, 401, "TOKEN_EXPIRED");
}

#[tokio::test]
async fn a_public_operation_ignores_a_bad_token() {
    let api = TestApi::new().await;
    assert_eq!(api.send(get("/text/1").bearer("expired")).await.status, 200);
}

#[tokio::test]
async fn without_the_permission_the_answer_is_403() {
    let api = TestApi::new().await;
    let answer = api.send(post("/notes").bearer("bob").json(json!({ "text": "a" }))).await;
    assert_error(&answer, 403, "FORBIDDEN");
}

#[tokio::test]
async fn a_user_that_the_caller_may_not_read_is_not_found() {
    let api = TestApi::new().await;
    assert_eq!(api.send(get(&format!("/users/{BOB}")).bearer("bob")).await.status, 200);
    assert_eq!(api.send(get(&format!("/users/{BOB}")).bearer("ada")).await.status, 200);
    assert_error(&api.send(get(&format!("/users/{ADA}")).bearer("bob")).await, 404, "NOT_FOUND");
}

#[tokio::test]
async fn a_step_up_requires_a_recent_sign_in() {
    let api = TestApi::new().await;
    assert_eq!(api.send(post("/erase").bearer("ada")).await.status, 202);
    assert_error(&api.send(post("/erase").bearer("bob")).await, 403, "STEP_UP_REQUIRED");
    api.clock.advance(Duration::from_secs(301));
    assert_error(&api.send(post("/erase").bearer("ada")).await, 403, "STEP_UP_REQUIRED");
}

#[tokio::test]
async fn an_operation_for_everyone_knows_a_signed_in_user() {
    let api = TestApi::new().await;
    assert_eq!(api.send(post("/carts")).await.json()["owner"], json!(null));
    assert_eq!(api.send(post("/carts").bearer("bob")).await.json()["owner"], BOB.to_string());
    assert_error(&api.send(post("/carts").bearer("expired")).await, 401, "TOKEN_EXPIRED");
}
