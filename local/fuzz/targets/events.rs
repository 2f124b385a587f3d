//! Events of an API Gateway HTTP API. The input's lines: a path, a query, a method, a cookie; behind them the body.

#![no_main]

#[expect(dead_code, reason = "only what reads an event is tried")]
#[path = "../../../shared/runtime/src/lambda/event.rs"]
mod event;

use axum::body::to_bytes;
use axum::http::header;
use futures::executor::block_on;
use libfuzzer_sys::{Corpus, fuzz_target};
use percent_encoding::percent_decode_str;
use serde_json::json;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(input) = std::str::from_utf8(input) else { return Corpus::Reject };
    let mut lines = input.splitn(5, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (path, query, method, cookie, body) = (line(), line(), line(), line(), line());
    let event = json!({
        "version": "2.0", "rawPath": path, "rawQueryString": query, "cookies": [cookie, "last=1"],
        "headers": { "host": "api.example.com" }, "body": body, "isBase64Encoded": false,
        "requestContext": { "http": { "method": method, "path": path, "sourceIp": "203.0.113.9" } },
    });
    let Ok(event) = serde_json::from_value(event) else { return Corpus::Reject }; // no HTTP method
    let Ok(request) = event::to_request(event) else {
        assert!(path.len() + query.len() > 8_000, "only what is too long is no request");
        return Corpus::Keep;
    };
    let uri = request.uri();
    let slash = if path.starts_with('/') { "" } else { "/" };
    // What was encoded still is, and what was not says the same.
    let decoded: Vec<u8> = percent_decode_str(uri.path()).collect();
    assert_eq!(decoded, percent_decode_str(&format!("{slash}{path}")).collect::<Vec<u8>>());
    assert!(
        uri.path()
            .split('%')
            .skip(1)
            .all(|rest| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2)
    );
    assert_eq!(uri.query().is_some(), !query.is_empty());
    let of_query: Vec<u8> = percent_decode_str(uri.query().unwrap_or_default()).collect();
    assert_eq!(of_query, percent_decode_str(query).collect::<Vec<u8>>());
    assert_eq!(request.headers()["host"], "api.example.com");
    if let Some(cookies) = request.headers().get(header::COOKIE) {
        assert_eq!(cookies.as_bytes(), format!("{cookie}; last=1").as_bytes());
    }
    let bytes = block_on(to_bytes(request.into_body(), usize::MAX)).expect("a body");
    assert_eq!(bytes, body);
    Corpus::Keep
});
