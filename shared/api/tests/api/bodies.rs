use axum::http::Method;
use serde_json::{Value, json};
use switchyard_api::MAX_BODY_BYTES;

use crate::harness::{Answer, TestApi, ask, assert_error, patch, post};

async fn create(api: &TestApi, content_type: &str, body: &str) -> Answer {
    api.send(post("/notes").bearer("ada").header("content-type", content_type).body(body.to_owned())).await
}

#[tokio::test]
async fn all_faults_of_a_body_are_reported_at_once_under_their_paths() {
    let api = TestApi::new().await;
    let body = json!({
        "text": "",
        "color": 7,
        "tags": [{ "name": "a" }, { "weight": 300 }, { "name": "b", "weight": "x", "size": 1 }, 5],
        "nickname": "n",
    });
    let answer = api.send(post("/notes").bearer("ada").json(body)).await;
    assert_eq!(
        answer.details(),
        json!({
            "text": "must have 1 to 20 characters",
            "color": "must be a string",
            "tags[1].name": "is required",
            "tags[1].weight": "must be at most 255",
            "tags[2].weight": "must be a whole number, 0 or more",
            "tags[2].size": "is not a known field",
            "tags[3]": "must be an object",
            "nickname": "is not a known field",
        })
    );
}

#[tokio::test]
async fn lengths_count_characters_and_nothing_is_trimmed() {
    let api = TestApi::new().await;
    let text = " ääääääääääääääääää ";
    assert_eq!(text.len(), 38);
    let answer = api.send(post("/notes").bearer("ada").json(json!({ "text": text }))).await;
    assert_eq!((answer.status.as_u16(), answer.json()["text"].as_str()), (201, Some(text)));
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let api = TestApi::new().await;
    for content_type in
        ["text/plain", "application/xml", "application/json; charset=latin-1", "application/merge-patch+json"]
    {
        assert_error(&create(&api, content_type, "{}").await, 415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let other_charset = create(&api, "application/json; charset=utf-16", "{}").await.json();
    assert_eq!(
        other_charset["error"]["message"],
        "Send the body in UTF-8, and leave the `charset` of its `Content-Type` out."
    );
    let untyped = api.send(post("/notes").bearer("ada").body(r#"{"text":"a"}"#)).await;
    assert_error(&untyped, 415, "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(create(&api, "application/json; charset=utf-8", r#"{"text":"a"}"#).await.status, 201);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_with_the_line_and_column() {
    let api = TestApi::new().await;
    let fault = async |body: &str| create(&api, "application/json", body).await.details();
    assert_eq!(
        fault("{\"text\":\n oops}").await,
        json!({ "body": "is not valid JSON: expected value, at line 2, column 2" })
    );
    assert_eq!(
        fault("{\"text\":").await,
        json!({ "body": "is not valid JSON: it ends too early, at line 1, column 8" })
    );
    assert_eq!(fault("").await, json!({ "body": "is required" }));
    assert_eq!(fault("[]").await, json!({ "body": "must be an object" }));
    assert_eq!(fault(r#"{"text":"a","text":"b"}"#).await, json!({ "text": "is given more than once" }));
    assert_eq!(
        fault(r#"{"text":"a\u0000"}"#).await,
        json!({ "text": "must not contain the character U+0000" })
    );
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(
        fault(&deep).await,
        json!({ "body": "is not valid JSON: nested more than 32 deep, at line 1, column 33" })
    );
}

#[tokio::test]
async fn json_is_read_as_clients_dress_it() {
    let api = TestApi::new().await;
    assert_eq!(
        create(&api, "application/json; charset=utf8", "\u{feff}{\"text\":\"ä\"}").await.json()["text"],
        "ä"
    );
    assert_eq!(create(&api, "application/json;charset=US-ASCII", r#"{"text":"a"}"#).await.status, 201);
}

#[tokio::test]
async fn a_body_with_a_content_encoding_is_refused() {
    let api = TestApi::new().await;
    let send = |encoding: &str, ask: crate::harness::Ask| {
        api.send(ask.bearer("ada").header("content-encoding", encoding).json(json!({ "text": "a" })))
    };
    for encoding in ["gzip", "br", "", "identity, gzip"] {
        for ask in [post("/notes"), patch("/notes/1"), post("/erase")] {
            let refused = send(encoding, ask).await;
            assert_error(&refused, 415, "UNSUPPORTED_MEDIA_TYPE");
            assert_eq!(refused.header("accept-encoding"), "identity");
            let message = "Send the body as it is, without a `Content-Encoding`.";
            assert_eq!(refused.json()["error"]["message"], message);
        }
    }
    assert_eq!(send("Identity", post("/notes")).await.status, 201);
}

#[tokio::test]
async fn a_missing_body_is_reported() {
    let api = TestApi::new().await;
    assert_eq!(api.send(post("/notes").bearer("ada")).await.details(), json!({ "body": "is required" }));
}

#[tokio::test]
async fn a_body_may_have_64_kib_and_not_a_byte_more() {
    let api = TestApi::new().await;
    let padded = |length: usize| {
        let body = r#"{"text":"a"}"#;
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    assert_eq!(create(&api, "application/json", &padded(MAX_BODY_BYTES)).await.status, 201);
    assert_error(
        &create(&api, "application/json", &padded(MAX_BODY_BYTES + 1)).await,
        413,
        "PAYLOAD_TOO_LARGE",
    );
    assert_eq!(MAX_BODY_BYTES, 64 * 1024);
    let declared = post("/notes").bearer("ada").header("content-type", "application/json");
    let declared = declared.header("content-length", "2000000");
    let refused = api.send(declared).await;
    assert_error(&refused, 413, "PAYLOAD_TOO_LARGE");
    assert_eq!(refused.json()["error"]["message"], "The body is larger than 64 KiB.");
}

async fn change(api: &TestApi, path: &str, content_type: &str, patch_: Value) -> Answer {
    api.send(patch(path).bearer("ada").header("content-type", content_type).body(patch_.to_string())).await
}

#[tokio::test]
async fn a_patch_changes_only_the_fields_that_it_names() {
    let api = TestApi::new().await;
    let (path, _) = api.note("milk").await;
    for content_type in ["application/merge-patch+json", "application/json"] {
        let answer =
            change(&api, &path, content_type, json!({ "color": "red", "tags": [{ "name": "t" }] })).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["text"], "milk");
        assert_eq!(answer.json()["color"], "red");
    }
    let answer = change(&api, &path, "application/json", json!({ "color": null })).await;
    assert_eq!((&answer.json()["color"], &answer.json()["tags"][0]["name"]), (&Value::Null, &json!("t")));
}

#[tokio::test]
async fn a_patch_obeys_the_rules_of_a_put() {
    let api = TestApi::new().await;
    let (path, _) = api.note("milk").await;
    let patch = json!({ "text": null, "color": 7, "tags": [{}], "nickname": null });
    let answer = change(&api, &path, "application/merge-patch+json", patch).await;
    assert_eq!(
        answer.details(),
        json!({
            "text": "is required",
            "color": "must be a string",
            "tags[0].name": "is required",
            "nickname": "is not a known field",
        })
    );
    let answer = api.send(ask(Method::PUT, &path).bearer("ada").json(json!({ "color": 7 }))).await;
    assert_eq!(answer.details(), json!({ "text": "is required", "color": "must be a string" }));
}

#[tokio::test]
async fn a_signed_body_is_handed_to_its_handler_byte_for_byte() {
    let api = TestApi::new().await;
    let answer = api.send(post("/webhook").body("{\"a\": 1} ")).await;
    assert_eq!(answer.json(), json!({ "bytes": 9, "ends_with_space": true }));
}

#[tokio::test]
async fn an_operation_can_have_a_limit_of_its_own_for_bodies() {
    let api = TestApi::new().await;
    assert_eq!(api.send(post("/webhook").body("x".repeat(2048))).await.json()["bytes"], 2048);
    for ask in [
        post("/webhook").body("x".repeat(2049)),
        post("/webhook").header("content-length", "2049").body("x"),
        post("/webhook").header("idempotency-key", "1").body("x".repeat(2049)),
    ] {
        let answer = api.send(ask).await;
        assert_error(&answer, 413, "PAYLOAD_TOO_LARGE");
        assert_eq!(answer.json()["error"]["message"], "The body is larger than 2 KiB.");
    }
}
