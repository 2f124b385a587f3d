//! The parts of a request that are read besides its body. The lines of the input are a query string, an `If-Match`
//! and an `Idempotency-Key`.

#![no_main]

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Request, header};
use deserr::Deserr;
use futures::executor::block_on;
use libfuzzer_sys::fuzz_target;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use switchyard_api::{Conditional, Faults, IdempotencyKey, Paged, Query};
use switchyard_kernel::EntityTag;

#[derive(Debug, PartialEq, Deserr)]
#[deserr(error = Faults, deny_unknown_fields)]
struct Filter {
    #[deserr(default)]
    q: Option<String>,
    #[deserr(default)]
    offset: Option<i64>,
    #[deserr(default)]
    deleted: Option<bool>,
    #[deserr(default)]
    ids: Vec<u32>,
}

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(3, |&byte| byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    query(line());
    if_match(line());
    idempotency_key(line());
});

fn read<T: FromRequestParts<()>>(parts: &mut Parts) -> Option<T> {
    block_on(T::from_request_parts(parts, &())).ok()
}

fn query(query: &[u8]) {
    let target = [b"/?", query].concat();
    let Ok(request) = Request::get(target.as_slice()).body(()) else { return };
    let (mut parts, ()) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let expected = parameters(&query);
    let parameters = read::<Query<Value>>(&mut parts).map(|Query(value)| value);
    assert_eq!(parameters, expected.as_ref().map(as_json));

    let one = |name: &str| match expected.as_ref()?.get(name)?.as_slice() {
        [value] => Some(value.as_str()),
        _ => None,
    };
    if let Some(text) = one("limit") {
        limit(text);
    }
    if let Some(paged) = read::<Paged<Filter>>(&mut parts) {
        assert!((1..=100).contains(&paged.page.limit));
        assert!(one("limit").map_or(paged.page.limit == 20, |text| text == paged.page.limit.to_string()));
        assert_eq!(paged.page.cursor.as_deref(), one("cursor"));
        let Filter { q, offset, deleted, ids } = paged.filter;
        assert_eq!(q.as_deref(), one("q"));
        assert_eq!(offset.map(|number| number.to_string()).as_deref(), one("offset"));
        assert_eq!(deleted.map(|value| value.to_string()).as_deref(), one("deleted"));
        let given = expected.as_ref().and_then(|all| all.get("ids")).cloned().unwrap_or_default();
        assert_eq!(ids.iter().map(u32::to_string).collect::<Vec<_>>(), given);
    }
}

/// A page size is an integer in JSON notation, from 1 to 100.
fn limit(text: &str) {
    let target = format!("/?limit={}", utf8_percent_encode(text, NON_ALPHANUMERIC));
    let (mut parts, ()) = Request::get(target).body(()).expect("an encoded query").into_parts();
    let expected = text.parse().ok().filter(|limit: &u32| limit.to_string() == text);
    let paged = read::<Paged>(&mut parts);
    assert_eq!(paged.map(|paged| paged.page.limit), expected.filter(|limit| (1..=100).contains(limit)));
}

/// Parses a form-encoded query string. Returns `None` if a name or a value is not text.
fn parameters(query: &str) -> Option<BTreeMap<String, Vec<String>>> {
    let mut parameters = BTreeMap::<_, Vec<_>>::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.entry(text(name)?).or_default().push(text(value)?);
    }
    Some(parameters)
}

fn text(encoded: &str) -> Option<String> {
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let (encoded, mut bytes, mut at) = (encoded.as_bytes(), Vec::new(), 0);
    while at < encoded.len() {
        match (encoded[at], digit(encoded.get(at + 1)), digit(encoded.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((16 * high + low) as u8);
                at += 2;
            }
            (b'+', ..) => bytes.push(b' '),
            (byte, ..) => bytes.push(byte),
        }
        at += 1;
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

fn as_json(parameters: &BTreeMap<String, Vec<String>>) -> Value {
    let value = |values: &Vec<String>| if let [one] = values.as_slice() { json!(one) } else { json!(values) };
    Value::Object(parameters.iter().map(|(name, values)| (name.clone(), value(values))).collect())
}

fn with_header(name: HeaderName, value: &[u8]) -> Option<Parts> {
    let value = HeaderValue::from_bytes(value).ok()?;
    let (parts, ()) = Request::get("/").header(name, value).body(()).ok()?.into_parts();
    Some(parts)
}

fn if_match(line: &[u8]) {
    let Some(mut parts) = with_header(header::IF_MATCH, line) else { return };
    let text = String::from_utf8_lossy(line).into_owned();
    if let Some(conditional) = read::<Conditional>(&mut parts) {
        for version in text.split('"').chain(["never-used"]).filter(|version| !version.is_empty()) {
            let is_named = text.trim() == "*" || text.contains(&format!("\"{version}\""));
            assert!(is_named || conditional.0.check(&EntityTag::new(version)).is_err());
        }
        assert!(conditional.required().is_ok());
    }
    lists_of_tags_round_trip(&text);
}

/// Makes entity tags of the words of a text, every second one weak.
fn lists_of_tags_round_trip(text: &str) {
    let tags: Vec<String> = text
        .split(' ')
        .map(|word| word.chars().filter(|c| ('!'..='~').contains(c) && *c != '"').collect())
        .collect();
    let weak = |place: usize| if place % 2 == 1 { "W/" } else { "" };
    let written: Vec<String> =
        tags.iter().enumerate().map(|(place, tag)| format!("{}\"{tag}\"", weak(place))).collect();
    for separator in [", ", ",", " ,\t"] {
        let mut parts =
            with_header(header::IF_MATCH, written.join(separator).as_bytes()).expect("a valid header value");
        let conditional: Conditional = read(&mut parts).expect("a list of tags is accepted");
        assert!(tags.iter().all(|tag| conditional.0.check(&EntityTag::new(tag)).is_ok()));
    }
}

fn idempotency_key(line: &[u8]) {
    let name = HeaderName::from_static("idempotency-key");
    let Some(mut parts) = with_header(name.clone(), line) else { return };
    let unquoted = match line.trim_ascii() {
        [b'"', text @ .., b'"'] => text,
        text => text,
    };
    let fits =
        (1..=255).contains(&unquoted.len()) && unquoted.iter().all(|b| b.is_ascii_graphic() && *b != b',');
    let key = read::<IdempotencyKey>(&mut parts);
    assert_eq!(key.as_ref().map(|key| key.as_str().as_bytes()), fits.then_some(unquoted));
    let quoted = [b"\"", unquoted, b"\""].concat();
    let quoted = with_header(name, &quoted).and_then(|mut parts| read(&mut parts));
    assert!(key.is_none() || quoted == key, "quotes do not change the key");
}
