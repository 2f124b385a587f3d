use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use crate::harness::{TestApi, ask, assert_error, content_length, get, post};

#[tokio::test]
async fn every_error_has_the_same_envelope() {
    let api = TestApi::new().await;
    let answer = api.send(get("/nowhere").header("x-request-id", "req-1")).await;
    assert_eq!(
        answer.json(),
        json!({ "error": {
            "code": "NOT_FOUND",
            "message": "There is nothing at this address.",
            "details": {},
            "request_id": "req-1",
        }})
    );
    assert_error(&answer, 404, "NOT_FOUND");
}

#[tokio::test]
async fn an_unsupported_method_is_refused_with_the_supported_ones() {
    let api = TestApi::new().await;
    let answer = api.send(ask(Method::DELETE, "/notes")).await;
    assert_error(&answer, 405, "METHOD_NOT_ALLOWED");
    let mut allowed: Vec<_> = answer.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    assert_error(
        &api.send(ask(Method::from_bytes(b"BREW").unwrap(), "/notes")).await,
        405,
        "METHOD_NOT_ALLOWED",
    );
}

#[tokio::test]
async fn an_answer_does_not_reveal_its_cause() {
    let api = TestApi::new().await;
    for how in ["panic", "cause"] {
        let answer = api.send(get(&format!("/fail/{how}"))).await;
        assert_error(&answer, 500, "INTERNAL_ERROR");
        assert!(!String::from_utf8_lossy(&answer.body).contains("hunter2"), "{how}");
    }
}

#[tokio::test]
async fn a_request_that_hangs_times_out() {
    let api = TestApi::with(|settings| settings.request_timeout = Duration::from_millis(20)).await;
    let answer = api.send(get("/fail/hang")).await;
    assert_error(&answer, 503, "UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), "1");
}

/// Not the answer to a time-out, after which it would not be known whether the request took effect.
#[tokio::test]
async fn retries_end_before_the_request_times_out() {
    let api = TestApi::with(|settings| settings.request_timeout = Duration::from_millis(400)).await;
    let in_a_task_of_its_own = post("/payments/a").bearer("ada").header("idempotency-key", "k");
    let in_a_task_of_its_own = in_a_task_of_its_own.json(json!({ "amount_minor": 503 }));
    for request in [get("/fail/patient"), in_a_task_of_its_own] {
        let throttled = api.send(request).await;
        assert_error(&throttled, 503, "UNAVAILABLE");
        assert_eq!(throttled.header("retry-after"), "3");
    }
}

#[tokio::test]
async fn a_database_error_becomes_the_matching_answer() {
    let api = TestApi::new().await;
    let throttled = api.send(get("/fail/throttled")).await;
    assert_error(&throttled, 503, "UNAVAILABLE");
    assert_eq!(throttled.header("retry-after"), "3");
    assert_error(&api.send(get("/fail/contended")).await, 503, "UNAVAILABLE");
    assert_error(&api.send(get("/fail/limit")).await, 413, "PAYLOAD_TOO_LARGE");
    assert_error(&api.send(get("/fail/duplicate")).await, 409, "CONFLICT");
}

#[tokio::test]
async fn an_error_keeps_its_own_headers() {
    let api = TestApi::new().await;
    let answer = api.send(post("/login").json(json!({ "email": "a", "password": "locked" }))).await;
    assert_error(&answer, 423, "ACCOUNT_LOCKED");
    assert_eq!(answer.header("retry-after"), "900");
}

#[tokio::test]
async fn a_malformed_path_parameter_is_reported_by_name() {
    let api = TestApi::new().await;
    let answer = api.send(get("/text/many")).await;
    assert_eq!(answer.details(), json!({ "length": "must be a whole number, 0 or more" }));
    let answer = api.send(get("/users/7").bearer("ada")).await;
    assert_eq!(answer.details(), json!({ "id": "must be a UUID" }));
    assert_eq!(api.send(get("/fail/%FF")).await.details(), json!({ "path": "must be UTF-8" }));
    assert_eq!(
        api.send(get("/fail/a%00")).await.details(),
        json!({ "how": "must not contain the character U+0000" })
    );
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let api = TestApi::new().await;
    let answer = api.send(ask(Method::HEAD, "/text/7")).await;
    assert_eq!((answer.status.as_u16(), content_length(&answer), answer.body.len()), (200, 7, 0));
    let answer = api.send(ask(Method::HEAD, "/nowhere")).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (404, 0));
}
