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
    assert_error(&api.send(write(&format!("W/{etag}"))).await, 412, "PRECONDITION_FAILED");
    assert_eq!(api.send(write(&format!("\"other\", {}", first.header("etag")))).await.status, 200);
    assert_eq!(api.send(write("*")).await.status, 200);
}

#[tokio::test]
async fn a_tag_that_a_proxy_has_weakened_still_names_its_state() {
    let api = TestApi::new().await;
    let (path, etag) = api.note("milk").await;
    let weak = format!("W/{etag}");
    let write =
        |etag: &str| patch(&path).bearer("ada").header("if-match", etag).json(json!({ "text": "tea" }));
    assert_eq!(api.send(write(&weak)).await.status, 200);
    assert_error(&api.send(write(&weak)).await, 412, "PRECONDITION_FAILED");
}

#[tokio::test]
async fn a_write_can_exclude_a_version() {
    let api = TestApi::new().await;
    let (path, mut etag) = api.note("milk").await;
    for method in [Method::PUT, Method::PATCH] {
        let write = |tags: &str| {
            ask(method.clone(), &path)
                .bearer("ada")
                .header("if-none-match", tags)
                .json(json!({ "text": "milk" }))
        };
        for excluded in [&etag, &format!("\"x\", W/{etag}"), "*"] {
            assert_error(&api.send(write(excluded)).await, 412, "PRECONDITION_FAILED");
        }
        let written = api.send(write("\"x\"")).await;
        assert_eq!(written.status, 200);
        written.header("etag").clone_into(&mut etag);
    }
    let delete = ask(Method::DELETE, &path).bearer("ada").header("if-match", "*");
    assert_error(&api.send(delete.header("if-none-match", &etag)).await, 412, "PRECONDITION_FAILED");
}

#[tokio::test]
async fn a_header_that_is_not_a_list_of_tags_is_refused_by_name() {
    let api = TestApi::new().await;
    let (path, _) = api.note("milk").await;
    let fault = "must be `*`, or the ETag as you got it: in double quotes, as in \"3f2a9c\"";
    for (header, name) in [("if-match", "If-Match"), ("if-none-match", "If-None-Match")] {
        for malformed in ["abc", "", "\"abc", "*, \"abc\""] {
            let write = patch(&path).bearer("ada").header(header, malformed).json(json!({ "text": "tea" }));
            assert_eq!(api.send(write).await.details(), json!({ (name): fault }), "{malformed}");
        }
    }
    // A read overwrites nothing.
    assert_eq!(
        api.send(get(&path).bearer("ada").header("if-none-match", "abc")).await.json()["text"],
        "milk"
    );
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
