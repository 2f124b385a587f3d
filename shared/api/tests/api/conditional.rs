use axum::http::Method;
use serde_json::json;

use crate::harness::{TestApi, ask, assert_error, get, patch};

#[tokio::test]
async fn a_write_based_on_an_old_version_is_refused() {
    let api = TestApi::new().await;
    let (path, etag) = api.note("milk").await;
    let write =
        |etag: &str| patch(&path).bearer("ada").header("if-match", etag).json(json!({ "text": "tea" }));
    let first = api.send(write(&etag)).await;
    assert_eq!(first.status, 200);
    assert_ne!(first.header("etag"), etag);
    assert_error(&api.send(write(&etag)).await, 412, "PRECONDITION_FAILED");
    assert_error(&api.send(write(&format!("W/{}", first.header("etag")))).await, 412, "PRECONDITION_FAILED");
    assert_eq!(api.send(write(&format!("\"other\", {}", first.header("etag")))).await.status, 200);
    assert_eq!(api.send(write("*")).await.status, 200);
}

#[tokio::test]
async fn a_precondition_can_be_required() {
    let api = TestApi::new().await;
    let (path, etag) = api.note("milk").await;
    assert_error(&api.send(ask(Method::DELETE, &path).bearer("ada")).await, 428, "PRECONDITION_REQUIRED");
    let answer = api.send(ask(Method::DELETE, &path).bearer("ada").header("if-match", &etag)).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    assert_error(&api.send(get(&path).bearer("ada")).await, 404, "NOT_FOUND");
}

#[tokio::test]
async fn a_version_that_the_client_has_is_not_sent_again() {
    let api = TestApi::new().await;
    let (path, etag) = api.note("milk").await;
    let read = |etag: &str| get(&path).bearer("ada").header("if-none-match", etag);
    for tag in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let answer = api.send(read(&tag)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.len(), answer.header("etag")),
            (304, 0, etag.as_str())
        );
        assert!(!answer.has_header("content-type"));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert_eq!(api.send(read("\"old\"")).await.json()["text"], "milk");
}

#[tokio::test]
async fn a_put_can_insist_on_creating() {
    let api = TestApi::new().await;
    let create = || {
        ask(Method::PUT, "/notes/n-1")
            .bearer("ada")
            .header("if-none-match", "*")
            .json(json!({ "text": "milk" }))
    };
    assert_eq!(api.send(create()).await.status, 200);
    assert_error(&api.send(create()).await, 412, "PRECONDITION_FAILED");
}
