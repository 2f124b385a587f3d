//! JSON bodies and JSON Merge Patch (RFC 7396). The first line of the input is JSON to change, the rest the body of
//! a PATCH.

#![no_main]

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::FromRequest as _;
use axum::http::Request;
use deserr::Deserr;
use futures::executor::block_on;
use libfuzzer_sys::{Corpus, fuzz_target};
use serde::Serialize;
use serde_json::{Map, Value, json};
use switchyard_api::{Faults, Patch};
use switchyard_kernel::MergePatch;

/// The maximum nesting that the API accepts, including the braces of the body.
const MAX_DEPTH: usize = 32;

#[derive(Clone, Debug, PartialEq, Serialize, Deserr)]
#[deserr(error = Faults, deny_unknown_fields)]
struct Card {
    name: String,
    #[deserr(default)]
    phone: Option<String>,
    #[deserr(default)]
    labels: BTreeMap<String, i64>,
    #[deserr(default)]
    address: Option<Address>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserr)]
#[deserr(error = Faults, deny_unknown_fields)]
struct Address {
    city: String,
    #[deserr(default)]
    code: Option<u32>,
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let line_end = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let Ok(target) = serde_json::from_slice::<Value>(&input[..line_end]) else { return Corpus::Reject };
    let body = input.get(line_end + 1..).unwrap_or_default();

    let patch = read(body);
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let Ok(plain) = serde_json::from_slice::<Value>(text) else {
        assert!(patch.is_none(), "a body that is not JSON is refused");
        return Corpus::Keep;
    };
    let fits = plain.is_object() && depth(&plain) <= MAX_DEPTH && !has_null_character(&plain);
    assert!(fits || patch.is_none());
    // Serialising it again removes duplicate names.
    let again = read(&serde_json::to_vec(&plain).expect("JSON can be written"));
    assert_eq!(again.is_some(), fits);
    assert!(patch.is_none() || patch == again);

    let Some(patch) = again else { return Corpus::Keep };
    the_nesting_limit_is_exact(&plain);
    duplicate_names_are_refused(&plain);
    let reference = whole_numbers(plain);
    values_change_as_the_rfc_says(&target, &patch, &reference);
    types_change_as_the_rfc_says(&patch, &reference);
    Corpus::Keep
});

fn read(body: &[u8]) -> Option<MergePatch> {
    let request = Request::patch("/").header("content-type", MergePatch::MEDIA_TYPE);
    let request = request.body(Body::from(body.to_vec())).expect("a request");
    block_on(Patch::from_request(request, &())).ok().map(|Patch(patch)| patch)
}

fn the_nesting_limit_is_exact(patch: &Value) {
    for depth in [MAX_DEPTH, MAX_DEPTH + 1] {
        let levels = depth - self::depth(patch);
        let nested = format!("{}{patch}{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert_eq!(read(nested.as_bytes()).is_some(), depth == MAX_DEPTH);
    }
}

/// Duplicate names are refused because parsers disagree about which value counts.
fn duplicate_names_are_refused(patch: &Value) {
    if let Some((name, value)) = members(patch).iter().next_back() {
        let text = patch.to_string();
        let twice = format!("{{{}:{value},{}", json!(name), &text[1..]);
        assert!(read(twice.as_bytes()).is_none(), "{twice}");
        assert!(read(format!("{{\"a\":[{twice}]}}").as_bytes()).is_none());
    }
}

fn values_change_as_the_rfc_says(target: &Value, patch: &MergePatch, reference: &Value) {
    let changed: Value = patch.apply_to(target).expect("any value is a value");
    assert_eq!(changed, merge(target.clone(), reference));
    assert_eq!(
        patch.apply_to(&changed).ok().as_ref(),
        Some(&changed),
        "applying a patch twice changes nothing more"
    );
    for name in members(reference).keys() {
        assert!(patch.touches(name));
    }
}

fn types_change_as_the_rfc_says(patch: &MergePatch, reference: &Value) {
    let card = Card {
        name: "Ada".to_owned(),
        phone: Some("7".to_owned()),
        labels: [("a".to_owned(), 1)].into(),
        address: Some(Address { city: "London".to_owned(), code: Some(8) }),
    };
    for present in [Card { phone: None, address: None, ..card.clone() }, card] {
        let before = serde_json::to_value(&present).expect("a card can be written");
        let expected = deserr::deserialize::<Card, _, Faults>(merge(before, reference)).ok();
        match patch.apply_to(&present) {
            Ok(changed) => {
                assert_eq!(Some(changed), expected);
                assert!(!removes_unknown_member(reference));
            }
            Err(_) => assert!(expected.is_none() || removes_unknown_member(reference)),
        }
    }
}

/// The algorithm of RFC 7396 §2.
fn merge(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = if let Value::Object(members) = target { members } else { Map::new() };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            let merged = merge(target.get(name).cloned().unwrap_or_default(), value);
            target.insert(name.clone(), merged);
        }
    }
    Value::Object(target)
}

fn removes_unknown_member(patch: &Value) -> bool {
    let removes_other = |value: &Value, known: &[&str]| {
        members(value).iter().any(|(name, value)| value.is_null() && !known.contains(&name.as_str()))
    };
    removes_other(patch, &["name", "phone", "labels", "address"])
        || removes_other(&patch["address"], &["city", "code"])
}

fn members(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn has_null_character(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_null_character),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || has_null_character(value))
        }
        _ => false,
    }
}

/// Turns `1.0` into 1, as in JSON Schema, if the double is exact.
fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 => {
                json!(float as i64)
            }
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name, whole_numbers(value))).collect())
        }
        other => other,
    }
}
