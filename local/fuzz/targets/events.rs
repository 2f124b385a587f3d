//! Events of an API Gateway HTTP API. The first lines of the input are a path, a query, a method and a cookie. The
//! rest is the body.

#![no_main]

#[expect(dead_code, reason = "only the parsing of events is fuzzed")]
#[path = "../../../shared/runtime/src/lambda/event.rs"]
mod event;
#[path = "../../../shared/runtime/src/path.rs"]
mod path;

use std::net::{IpAddr, Ipv4Addr};

use axum::body::to_bytes;
use axum::http::{HeaderValue, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::executor::block_on;
use libfuzzer_sys::{Corpus, fuzz_target};
use percent_encoding::percent_decode_str;
use serde_json::json;
use switchyard_api::PeerAddress;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));

fuzz_target!(|input: &[u8]| -> Corpus {
    let mut lines = input.splitn(5, |&byte| byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let [path, query, method, cookie] = [line(), line(), line(), line()].map(std::str::from_utf8);
    let (Ok(path), Ok(query), Ok(method), Ok(cookie)) = (path, query, method, cookie) else {
        return Corpus::Reject;
    };
    let body = line();
    // The gateway encodes a body that is not text. It may also encode text.
    let encoded = (STANDARD.encode(body), true);
    let plain = std::str::from_utf8(body).ok().map(|text| (text.to_owned(), false));
    for (written, is_encoded) in plain.into_iter().chain([encoded]) {
        let event = json!({
            "version": "2.0", "rawPath": path, "rawQueryString": query, "cookies": [cookie, "last=1"],
            "headers": { "host": "api.example.com" }, "body": written, "isBase64Encoded": is_encoded,
            "requestContext": { "http": { "method": method, "path": path, "sourceIp": CLIENT } },
        });
        let Ok(event) = serde_json::from_value(event) else { return Corpus::Reject }; // no HTTP method
        let Ok(request) = event::to_request(event) else {
            assert!(path.len() + query.len() > 8_000, "only a target that is too long is refused");
            return Corpus::Keep;
        };
        assert_eq!(request.method().as_str(), if method.is_empty() { "GET" } else { method });
        path_and_query_are_preserved(request.uri(), path, query);
        assert_eq!(request.headers()["host"], "api.example.com");
        let cookies = HeaderValue::try_from(format!("{cookie}; last=1")).ok();
        assert_eq!(request.headers().get(header::COOKIE), cookies.as_ref());
        assert_eq!(request.extensions().get(), Some(&PeerAddress(CLIENT)));
        let bytes = block_on(to_bytes(request.into_body(), usize::MAX)).expect("a body");
        assert_eq!(bytes, body);
    }
    Corpus::Keep
});

/// The URI decodes to the bytes of the event's path, which the gateway has decoded, and to those of its query. Every `%` in
/// its path starts an encoded byte.
fn path_and_query_are_preserved(uri: &Uri, path: &str, query: &str) {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let decoded: Vec<u8> = percent_decode_str(uri.path()).collect();
    assert_eq!(decoded, format!("{slash}{path}").into_bytes());
    assert_eq!(path::normalize(uri.path()), uri.path(), "a path in normal form keeps it");
    assert!(
        uri.path()
            .split('%')
            .skip(1)
            .all(|rest| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2)
    );
    assert_eq!(uri.query().is_some(), !query.is_empty());
    let of_query: Vec<u8> = percent_decode_str(uri.query().unwrap_or_default()).collect();
    assert_eq!(of_query, percent_decode_str(query).collect::<Vec<u8>>());
}
