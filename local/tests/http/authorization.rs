//! Every operation of the OpenAPI document, tried by those who may not do it. What each is to answer follows from what
//! the document says of its security.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use switchyard_harness::app::{App, Call, Person};
use switchyard_identity::testing;

crate::on_every_backend!(
    no_operation_for_users_is_open_to_strangers,
    no_operation_takes_an_expired_token,
    no_operation_takes_a_forged_token,
    no_operation_shows_or_changes_what_is_another_users,
);

/// Operations for everybody. One that is neither here nor asks for a token in the document has no rule at all.
const PUBLIC: [&str; 9] = [
    "get_jwks",
    "login",
    "refresh",
    "register",
    "get_health",
    "get_liveness",
    "get_metrics",
    "get_openapi",
    "get_readiness",
];

/// Operations for the signed-in user that name nobody else, so that another user has nothing to be refused. The list is
/// to stay short.
const OF_ONESELF: [&str; 5] = ["get_me", "update_me", "change_password", "logout", "logout_all"];

struct Operation {
    id: String,
    method: Method,
    path: String,
    /// The permissions that it asks for; `None` where it is for everybody.
    permissions: Option<Vec<String>>,
}

/// The operations of the document.
fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(switchyard_fn_system::OPENAPI_JSON).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let bearer = operation["security"][0]["bearer"].as_array();
            let names =
                |list: &Vec<Value>| list.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
            operations.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                permissions: bearer.map(names),
            });
        }
    }
    assert!(operations.len() > 30, "the document names the operations");
    operations
}

fn for_users() -> impl Iterator<Item = Operation> {
    operations().into_iter().filter(|operation| operation.permissions.is_some())
}

#[test]
fn every_operation_has_a_rule_and_every_rule_an_operation() {
    let operations = operations();
    let ids = |of: &dyn Fn(&Operation) -> bool| -> BTreeSet<&str> {
        operations.iter().filter(|operation| of(operation)).map(|operation| operation.id.as_str()).collect()
    };
    assert_eq!(ids(&|operation| operation.permissions.is_none()), BTreeSet::from(PUBLIC));
    let for_any_user = ids(&|operation| operation.permissions.as_ref().is_some_and(Vec::is_empty));
    assert!(for_any_user.is_superset(&BTreeSet::from(OF_ONESELF)), "{for_any_user:?}");
}

/// The operation, asked for with a body that is not even read before it is known who asks.
fn call(app: &App, operation: &Operation, subject: &Person) -> Call {
    let path = operation.path.replace("{id}", subject.id.as_str()).replace("{name}", "merchant");
    assert!(!path.contains('{'), "{path} has a parameter that this test does not know");
    app.call(operation.method.clone(), &path)
}

async fn no_operation_for_users_is_open_to_strangers(app: App) {
    let ada = app.register("Ada").await;
    for operation in for_users() {
        let answer = call(&app, &operation, &ada).await;
        assert_eq!(answer.error(), (401, "UNAUTHENTICATED".to_owned()), "{}", operation.id);
        let answer = call(&app, &operation, &ada).bearer("nonsense").await;
        assert_eq!(answer.error(), (401, "UNAUTHENTICATED".to_owned()), "{}", operation.id);
    }
}

async fn no_operation_takes_an_expired_token(app: App) {
    let admin = app.admin().await;
    app.wait(Duration::from_secs(15 * 60));
    for operation in for_users() {
        let answer = call(&app, &operation, &admin).by(&admin).await;
        assert_eq!(answer.error(), (401, "TOKEN_EXPIRED".to_owned()), "{}", operation.id);
    }
}

/// A part of a token, or of a key.
fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Header and claims of a token.
fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| serde_json::from_slice(&decoded(part)));
    (parts.next().unwrap().unwrap(), parts.next().unwrap().unwrap())
}

/// An element of ASN.1 in DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82][..], &length, content].concat()
}

/// The public key as its PEM (RFC 7468) and as the parts of which that is made: what a careless verifier could take for the
/// secret of an HMAC.
fn public_secrets(jwk: &Value) -> Vec<Vec<u8>> {
    let number = |name: &str| decoded(jwk[name].as_str().unwrap());
    let integer = |name: &str| der(0x02, &[&[0][..], &number(name)].concat());
    let key = der(0x30, &[integer("n"), integer("e")].concat());
    let algorithm = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"; // rsaEncryption
    let spki = der(0x30, &[&algorithm[..], &der(0x03, &[&[0][..], &key].concat())].concat());
    let lines: Vec<String> = STANDARD
        .encode(&spki)
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into())
        .collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    vec![pem.trim().into(), pem.into(), spki, key, number("n"), jwk["n"].as_str().unwrap().into()]
}

/// Tokens that are like this good one in all but one thing, with what that is.
fn forgeries(good: &str, jwk: &Value) -> Vec<(String, String)> {
    let (header, claims) = parts(good);
    let signed = |change: fn(&mut Value, &mut Value)| {
        let (mut header, mut claims) = (header.clone(), claims.clone());
        change(&mut header, &mut claims);
        testing::signed_token(&header, &claims)
    };
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let without_algorithm = |name: &str| {
        let header = json!({"alg": name, "typ": header["typ"], "kid": header["kid"]});
        format!("{}.{}", encoded(&header), encoded(&claims))
    };
    let promoted = {
        let mut claims = claims.clone();
        claims["roles"] = json!(["admin"]);
        format!("{}.{}.{signature}", encoded(&header), encoded(&claims))
    };
    let mut forgeries = vec![
        ("no token", "nonsense".to_owned()),
        ("another audience", signed(|_, claims| claims["aud"] = json!("another"))),
        ("several audiences", signed(|_, claims| claims["aud"] = json!(["switchyard", "another"]))),
        ("another issuer", signed(|_, claims| claims["iss"] = json!("https://evil.example"))),
        ("an unknown key", signed(|header, _| header["kid"] = json!("another"))),
        ("no key", signed(|header, _| drop(header.as_object_mut().unwrap().remove("kid")))),
        ("another type", signed(|header, _| header["typ"] = json!("JWT"))),
        ("no type", signed(|header, _| drop(header.as_object_mut().unwrap().remove("typ")))),
        ("no expiry", signed(|_, claims| drop(claims.as_object_mut().unwrap().remove("exp")))),
        ("no subject", signed(|_, claims| drop(claims.as_object_mut().unwrap().remove("sub")))),
        ("other claims", promoted),
        ("no signature", format!("{message}.")),
        ("no third part", message.to_owned()),
        ("alg: none", format!("{}.", without_algorithm("none"))),
        ("alg: NONE", format!("{}.", without_algorithm("NONE"))),
        ("alg: none, signed", format!("{}.{signature}", without_algorithm("none"))),
        ("another key under our key's id", another_key(&header, &claims)),
    ]
    .into_iter()
    .map(|(what, token)| (what.to_owned(), token))
    .collect::<Vec<_>>();
    for (number, secret) in public_secrets(jwk).into_iter().enumerate() {
        let header = Header {
            typ: Some("at+jwt".to_owned()),
            kid: header["kid"].as_str().map(ToOwned::to_owned),
            ..Header::new(Algorithm::HS256)
        };
        let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&secret)).unwrap();
        forgeries.push((format!("HS256 with the public key, form {number}"), token));
    }
    forgeries
}

fn another_key(header: &Value, claims: &Value) -> String {
    let pem = switchyard_identity::SigningKeys::generate_pem().unwrap();
    let header = Header {
        typ: Some("at+jwt".to_owned()),
        kid: header["kid"].as_str().map(ToOwned::to_owned),
        ..Header::new(Algorithm::RS256)
    };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()).unwrap()
}

async fn no_operation_takes_a_forged_token(app: App) {
    let admin = app.admin().await;
    let jwks = app.call(Method::GET, "/.well-known/jwks.json").await.expect(200);
    let (header, claims) = parts(&admin.access_token);
    let resigned = testing::signed_token(&header, &claims);
    assert_eq!(app.get("/users").bearer(&resigned).await.status, 200, "the forger's hand is good");
    for (what, token) in forgeries(&admin.access_token, &jwks["keys"][0]) {
        for operation in for_users() {
            let answer = call(&app, &operation, &admin).bearer(&token).await;
            assert_eq!(answer.error(), (401, "UNAUTHENTICATED".to_owned()), "{}: {what}", operation.id);
        }
    }
}

async fn no_operation_shows_or_changes_what_is_another_users(app: App) {
    let (ada, mallory) = (app.register("Ada").await, app.register("Mallory").await);
    for operation in for_users().filter(|operation| !OF_ONESELF.contains(&operation.id.as_str())) {
        let answer = valid_call(&app, &operation, &ada).by(&mallory).await;
        let for_some_role = operation.permissions.as_ref().is_some_and(|permissions| !permissions.is_empty());
        // Who may not know of a resource does not learn that it exists.
        let expected = if for_some_role { (403, "FORBIDDEN") } else { (404, "NOT_FOUND") };
        assert_eq!(answer.error(), (expected.0, expected.1.to_owned()), "{}", operation.id);
    }
}

/// The operation with a body that it would take from somebody else.
fn valid_call(app: &App, operation: &Operation, subject: &Person) -> Call {
    let body = match operation.id.as_str() {
        "create_user" | "replace_user" => serde_json::json!({"email": "x@example.com", "name": "X"}),
        "create_role" => serde_json::json!({"name": "x", "permissions": []}),
        "replace_user_roles" => serde_json::json!({"roles": ["customer"]}),
        _ => serde_json::json!({}),
    };
    let call = call(app, operation, subject);
    if matches!(operation.method, Method::POST | Method::PUT | Method::PATCH) {
        call.json(body)
    } else {
        call
    }
}
