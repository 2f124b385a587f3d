//! What a request brings that its operation does not take.

use axum::http::Method;
use serde_json::json;

use crate::harness::{TestApi, ask, assert_error, get, post};

#[tokio::test]
async fn a_body_that_an_operation_does_not_take_is_refused_like_unknown_fields() {
    let api = TestApi::new().await;
    let erase = || post("/erase").bearer("ada");
    let refused = api.send(erase().json(json!({ "reason": "x", "all": true }))).await;
    assert_eq!(refused.details(), json!({ "all": "is not a known field", "reason": "is not a known field" }));
    assert_eq!(api.send(erase().json(json!([]))).await.details(), json!({ "body": "must be an object" }));
    assert_error(&api.send(erase().body("reason=x")).await, 415, "UNSUPPORTED_MEDIA_TYPE");
    let large = erase().json(json!({ "reason": "x".repeat(70_000) }));
    assert_error(&api.send(large).await, 413, "PAYLOAD_TOO_LARGE");
    let delete = ask(Method::DELETE, "/notes/1").bearer("ada").json(json!({ "id": 1 }));
    assert_eq!(api.send(delete).await.details(), json!({ "id": "is not a known field" }));
}

#[tokio::test]
async fn no_body_and_an_empty_object_are_the_same() {
    let api = TestApi::new().await;
    assert_eq!(api.send(post("/erase").bearer("ada")).await.status, 202);
    assert_eq!(
        api.send(post("/erase").bearer("ada").header("content-type", "text/plain").body("\n")).await.status,
        202
    );
    assert_eq!(api.send(post("/erase").bearer("ada").json(json!({}))).await.status, 202);
    let keyed = post("/erase").bearer("ada").header("idempotency-key", "k").json(json!({}));
    assert_eq!(api.send(keyed).await.status, 202);
}

#[tokio::test]
async fn unknown_query_parameters_are_refused_on_every_operation() {
    let api = TestApi::new().await;
    let (path, etag) = api.note("milk").await;
    let fault = json!({ "x": "is not a known parameter", "limit": "is not a known parameter" });
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let change = ask(method, &format!("{path}?x=1&limit=2")).bearer("ada").header("if-match", &etag);
        assert_eq!(api.send(change.json(json!({}))).await.details(), fault);
    }
    assert_eq!(api.send(post("/erase?x=1&limit=2").bearer("ada")).await.details(), fault);
    assert_eq!(api.send(get("/whoami?x=1&limit=2")).await.details(), fault);
    assert_eq!(
        api.send(get("/notes?x=1").bearer("ada")).await.details(),
        json!({ "x": "is not a known parameter" })
    );
    assert_eq!(api.send(get("/whoami?")).await.status, 200);
    assert_eq!(api.send(ask(Method::HEAD, "/whoami?x=1")).await.status, 400);
}

#[tokio::test]
async fn a_stranger_learns_nothing_about_the_rest_of_a_request() {
    let api = TestApi::new().await;
    assert_error(&api.send(post("/erase?x=1").json(json!({ "reason": 1 }))).await, 401, "UNAUTHENTICATED");
    assert_error(&api.send(post("/nowhere?x=1").json(json!({ "reason": 1 }))).await, 404, "NOT_FOUND");
}
