//! Every operation of the OpenAPI document, tried by people who may not make the request, and by people who
//! may. The expected answer follows from the permissions that the document names and from whether the path
//! names an object.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use switchyard_harness::app::{Answer, App, PASSWORD, Person};
use switchyard_identity::testing;

use crate::operations::operations;
use crate::requests::{Permitted, Request, requests};

crate::on_every_backend!(
    no_operation_for_users_works_without_a_token,
    no_operation_takes_an_expired_token,
    no_operation_takes_a_forged_token,
    no_operation_for_users_works_before_a_required_password_change,
    no_operation_shows_or_changes_what_is_another_users,
    every_operation_succeeds_for_those_who_may,
);

/// Operations that need no token. Anyone can call them, so the list should only shrink.
///
/// There is no list of operations about the caller: one that requires no permission and names no object in
/// its path must show a stranger nothing that belongs to someone else.
const PUBLIC: [&str; 11] = [
    "get_jwks",
    "get_openid_configuration",
    "login",
    "logout",
    "refresh",
    "register",
    "get_health",
    "get_liveness",
    "get_metrics",
    "get_openapi",
    "get_readiness",
];

/// Requests for all operations that need a token, about objects of `owner`.
async fn requests_for_users(app: &App, owner: &Person) -> Vec<Request> {
    let requests = requests(app, owner).await.into_iter();
    requests.filter(|request| request.operation.permissions.is_some()).collect()
}

#[test]
fn only_the_listed_operations_need_no_token() {
    let operations = operations();
    let public = operations.iter().filter(|operation| operation.permissions.is_none());
    let public: BTreeSet<&str> = public.map(|operation| operation.id.as_str()).collect();
    assert_eq!(public, BTreeSet::from(PUBLIC));
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str, what: &str) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert_eq!(answer.error().1, code, "{what}");
}

async fn no_operation_for_users_works_without_a_token(app: App) {
    let ada = app.register("Ada").await;
    for request in requests_for_users(&app, &ada).await {
        assert_refused(&request.call(&app).await, 401, "UNAUTHENTICATED", &request.operation.id);
        let answer = request.call(&app).bearer("nonsense").await;
        assert_refused(&answer, 401, "TOKEN_INVALID", &request.operation.id);
    }
}

async fn no_operation_takes_an_expired_token(app: App) {
    let admin = app.admin().await;
    let requests = requests_for_users(&app, &admin).await;
    app.wait(Duration::from_secs(15 * 60));
    for request in requests {
        let answer = request.call(&app).by(&admin).await;
        assert_refused(&answer, 401, "TOKEN_EXPIRED", &request.operation.id);
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

/// Operations of users who must change their password first. (Anyone may log out.)
const BEFORE_PASSWORD_CHANGE: [&str; 2] = ["change_password", "logout_all"];

async fn no_operation_for_users_works_before_a_required_password_change(app: App) {
    let admin = app.admin().await;
    let requests = requests_for_users(&app, &admin).await;
    let (header, mut claims) = parts(&admin.access_token);
    claims["password_change_required"] = json!(true);
    let token = testing::signed_token(&header, &claims);
    let mut open = BTreeSet::new();
    for request in requests {
        if request.operation.before_password_change {
            open.insert(request.operation.id);
            continue;
        }
        let answer = request.call(&app).bearer(&token).await;
        assert_refused(&answer, 403, "PASSWORD_CHANGE_REQUIRED", &request.operation.id);
    }
    assert_eq!(open, BEFORE_PASSWORD_CHANGE.map(str::to_owned).into());
    let change = json!({"current_password": PASSWORD, "new_password": "four quiet lanterns"});
    app.post("/auth/password-change").bearer(&token).json(change).await.expect(204);
    app.post("/auth/logout-all").bearer(&token).await.expect(204);
    app.post("/auth/logout").bearer(&token).await.expect(204);
}

async fn no_operation_takes_a_forged_token(app: App) {
    let admin = app.admin().await;
    let jwks = app.call(Method::GET, "/.well-known/jwks.json").await.expect(200);
    let (header, claims) = parts(&admin.access_token);
    let resigned = testing::signed_token(&header, &claims);
    assert_eq!(
        app.get("/users").bearer(&resigned).await.status,
        200,
        "a token that the test signs with the right key is valid"
    );
    let requests = requests_for_users(&app, &admin).await;
    for (what, token) in forgeries(&admin.access_token, &jwks["keys"][0]) {
        for request in &requests {
            let answer = request.call(&app).bearer(&token).await;
            assert_refused(&answer, 401, "TOKEN_INVALID", &format!("{}: {what}", request.operation.id));
        }
    }
}

async fn no_operation_shows_or_changes_what_is_another_users(app: App) {
    let ada = app.register("Ada").await;
    let requests = requests_for_users(&app, &ada).await;
    let mut objects: Vec<&str> = requests.iter().flat_map(Request::objects).collect();
    objects.push(ada.id.as_str());
    for request in &requests {
        let id = &request.operation.id;
        // A new stranger each time: some operations end the session of their caller.
        let stranger = app.register(&format!("not-allowed-to-{id}")).await;
        let answer = request.call(&app).by(&stranger).await;
        let requires_permissions = request.operation.permissions.as_ref().is_some_and(|all| !all.is_empty());
        if requires_permissions {
            assert_refused(&answer, 403, "FORBIDDEN", id);
        } else if request.operation.has_parameters() {
            // Someone who may not see an object does not learn that it exists.
            assert_refused(&answer, 404, "NOT_FOUND", id);
        } else {
            // It is about the caller, so it can succeed, but then it must not show anything of Ada's.
            assert!(answer.status < 500, "{id}: {answer:?}");
            let text = String::from_utf8_lossy(&answer.body);
            let shown = objects.iter().find(|object| text.contains(**object));
            assert!(answer.status >= 400 || shown.is_none(), "{id} shows {shown:?}: {answer:?}");
        }
    }
}

/// Without this, a request that fails for everybody would pass as one that refuses strangers.
async fn every_operation_succeeds_for_those_who_may(app: App) {
    let mut permitted = Permitted::default();
    for request in requests(&app, &app.register("Ada").await).await {
        let owner = app.register(&request.operation.id).await;
        let request = request.for_owner(&app, &owner).await;
        let person = permitted.person(&app, &request, &owner).await;
        let answer = request.call(&app).by(&person).await;
        assert!((200..300).contains(&answer.status), "{}: {answer:?}", request.operation.id);
    }
}
