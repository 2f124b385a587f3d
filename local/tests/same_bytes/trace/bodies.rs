//! Invalid bodies.

use axum::http::header;
use serde_json::json;
use switchyard_harness::app::PASSWORD;

use super::{address_of, sign_in_admin};
use crate::everywhere::Everywhere;

/// Bodies that are not valid accounts, for different reasons.
const INVALID_ACCOUNTS: [&str; 30] = [
    "",
    " ",
    "{",
    "}",
    "{}",
    "{}{}",
    "null",
    "true",
    "42",
    "[]",
    "\"text\"",
    "\u{feff}{}",
    "{'email':'x'}",
    "{\"email\":}",
    r#"{"email":1,"password":[],"name":{}}"#,
    r#"{"email":null,"password":null,"name":null}"#,
    r#"{"email":"nobody","password":"x","name":""}"#,
    r#"{"email":"a@","password":"a-fairly-long-passphrase-7","name":"A"}"#,
    r#"{"email":"a b@example.org","password":"a-fairly-long-passphrase-7","name":"A"}"#,
    r#"{"email":"a@example.org","password":"a-fairly-long-passphrase-7","name":"A\u0000B"}"#,
    r#"{"email":"a@example.org","password":"a-fairly-long-passphrase-7","name":"A\nB"}"#,
    r#"{"email":"a@example.org","password":"a-fairly-long-passphrase-7","name":"\ud800"}"#,
    r#"{"email":"a@example.org","password":"a-fairly-long-passphrase-7","name":"A","admin":true}"#,
    r#"{"email":"a@example.org","password":"a-fairly-long-passphrase-7","name":"A","Email":"b@example.org"}"#,
    r#"{"email":"a@example.org","email":"b@example.org","password":"a-fairly-long-passphrase-7","name":"A"}"#,
    r#"{"email":"a@example.org","password":"a-fairly-long-passphrase-7","name":"A","device_name":7}"#,
    r#"{"email":"a@example.org","password":"a-fairly-long-passphrase-7","name":1e999}"#,
    r#"{"email":"a@example.org","password":"a-fairly-long-passphrase-7","name":12345678901234567890123}"#,
    r#"{"email":"a@example.org","password":"a-fairly-long-passphrase-7","name":"A",}"#,
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

pub(super) async fn replay(api: &Everywhere) {
    for (number, body) in INVALID_ACCOUNTS.iter().enumerate() {
        let from = address_of(20 + u8::from(number % 2 == 0));
        let call = api.post("/auth/register").from(from).header(header::CONTENT_TYPE, "application/json");
        api.ask(400, call.body(*body)).await;
    }
    let from = address_of(22);
    for (email, name, password) in [
        (format!("{}@example.org", "a".repeat(300)), "A".repeat(101), "p".repeat(129)),
        (format!("{}@example.org", "é".repeat(65)), "é".repeat(101), "é".repeat(7)),
    ] {
        let body = json!({"email": email, "password": password, "name": name});
        api.ask(400, api.post("/auth/register").from(from).json(body)).await;
    }
    let json = api.post("/auth/login").from(from).header(header::CONTENT_TYPE, "application/json");
    api.ask(400, json.body(&b"{\"email\":\"\xff\"}"[..])).await;
    types(api).await;
    sizes(api).await;
    on_other_routes(api).await;
}

async fn types(api: &Everywhere) {
    let body = json!({"email": "nobody@example.net", "password": PASSWORD}).to_string();
    let types = [
        ("application/json; charset=utf-8", 401),
        ("Application/JSON;charset=\"UTF-8\"", 401),
        ("application/json; charset=utf8", 401),
        ("application/json; charset=us-ascii", 401),
        ("application/json; charset=latin-1", 415),
        ("application/merge-patch+json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("text/json", 415),
        ("json", 415),
    ];
    for (media_type, status) in types {
        let call = api.post("/auth/login").from(address_of(23)).header(header::CONTENT_TYPE, media_type);
        api.ask(status, call.body(body.clone())).await;
    }
    let login = || api.post("/auth/login").from(address_of(23));
    api.ask(415, login().body(body)).await;
    let body = json!({"email": "nobody-else@example.net", "password": PASSWORD}).to_string();
    let json = || login().header(header::CONTENT_TYPE, "application/json");
    api.ask(401, json().body(format!("\u{feff}{body}"))).await;
    api.ask(415, json().header(header::CONTENT_ENCODING, "gzip").body(body.clone())).await;
    api.ask(401, json().header(header::CONTENT_ENCODING, "identity").body(body)).await;
}

async fn sizes(api: &Everywhere) {
    for size in [16 * 1024, 16 * 1024 + 1] {
        let mut body = json!({"email": "nobody@example.net", "password": PASSWORD}).to_string();
        body.push_str(&" ".repeat(size - body.len()));
        let status = if size > 16 * 1024 { 413 } else { 401 };
        let call =
            api.post("/auth/login").from(address_of(24)).header(header::CONTENT_TYPE, "application/json");
        api.ask(status, call.body(body)).await;
    }
}

async fn on_other_routes(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(25)).await;
    let path = format!("/users/{}", admin.id);
    let unlike =
        [json!({"x": 1}), json!([1]), json!(null), json!({"roles": "admin", "name": 7, "email": true})];
    for body in unlike {
        api.ask(400, api.post("/users").by(&admin).json(body.clone())).await;
        api.ask(400, api.put(&path).by(&admin).json(body.clone())).await;
        api.ask(400, api.patch(&path).by(&admin).json(body.clone())).await;
        api.ask(400, api.put(&format!("{path}/roles")).by(&admin).json(body.clone())).await;
        api.ask(400, api.put(&format!("{path}/profile")).by(&admin).json(body.clone())).await;
        api.ask(400, api.post("/roles").by(&admin).json(body.clone())).await;
        api.ask(400, api.patch("/roles/customer").by(&admin).json(body)).await;
    }
    for call in [api.put(&path), api.patch(&path), api.post("/users"), api.patch("/roles/customer")] {
        api.ask(415, call.by(&admin).body("name=X")).await;
    }
}
