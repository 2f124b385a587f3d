//! Tests the answers of the routes to valid, invalid and repeated requests.

use axum::http::header;
use serde_json::{Value, json};
use switchyard_harness::app::{App, PASSWORD};
use switchyard_harness::store::Backend;
use switchyard_identity::SessionError;

async fn start() -> App {
    App::start(Backend::Sqlite, |_, identity| switchyard_fn_accounts::router(identity.clone())).await
}

fn registration() -> Value {
    json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"})
}

#[tokio::test]
async fn all_faults_of_a_registration_are_reported_at_once() {
    let app = start().await;
    let body = json!({"email": "ada\u{200b}@b.co", "password": "short", "name": "\u{200b}", "device_name": "a\nb", "admin": true});
    let answer = app.post("/auth/register").json(body).await;
    assert_eq!(answer.error(), (400, "VALIDATION_ERROR".to_owned()));
    assert_eq!(
        answer.details(),
        json!({
            "admin": "is not a known field",
            "device_name": "must not contain line breaks, other control characters, or characters that change the direction of text",
            "email": "must not contain the invisible character U+200B",
            "name": "must have a visible character",
            "password": "must have 8 to 128 characters",
        })
    );
    let answer =
        app.post("/auth/register").json(json!({"email": 7, "password": null, "device_name": []})).await;
    assert_eq!(
        answer.details(),
        json!({
            "device_name": "must be a string",
            "email": "must be a string",
            "name": "is required",
            "password": "must be a string",
        })
    );
}

#[tokio::test]
async fn a_registration_sent_again_with_its_key_gets_the_first_answer() {
    let app = start().await;
    let register = |key: &str, body: Value| app.post("/auth/register").once(key).json(body);
    let first = register("k1", registration()).await;
    let again = register("k1", registration()).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None));
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    let mut other = registration();
    other["name"] = json!("Augusta");
    assert_eq!(register("k1", other).await.error(), (422, "IDEMPOTENCY_KEY_REUSED".to_owned()));
    assert_eq!(register("k2", registration()).await.error(), (409, "EMAIL_TAKEN".to_owned()));
}

#[tokio::test]
async fn the_callers_account_is_updated_as_a_whole_or_not_at_all() {
    let app = start().await;
    let ada = app.register("Ada").await;
    let patch = async |body: Value| app.patch("/auth/me").by(&ada).json(body).await;
    let faults = patch(json!({"email": "x", "name": null, "roles": ["admin"], "status": null})).await;
    assert_eq!(
        faults.details(),
        json!({
            "email": "must be an e-mail address", "name": "is required", "roles": "is not a known field",
            "status": "is not a known field",
        })
    );
    let before = app.get("/auth/me").by(&ada).await;
    let nothing = patch(json!({})).await;
    assert_eq!((nothing.expect(200), nothing.etag()), (before.json(), before.etag()));
    let any = app.patch("/auth/me").by(&ada).if_match("*").json(json!({"name": "Ada King"})).await;
    assert_eq!(any.status, 200);
    let weak = format!("W/{}", any.etag());
    let change = |tag: &str| app.patch("/auth/me").by(&ada).if_match(tag).json(json!({"name": "A"}));
    assert_eq!(change(&weak).await.status, 200);
    assert_eq!(change(&weak).await.error(), (412, "PRECONDITION_FAILED".to_owned()));
    assert_eq!(change("v1").await.error(), (400, "VALIDATION_ERROR".to_owned()));
}

#[tokio::test]
async fn a_password_change_reports_its_faults() {
    let app = start().await;
    let ada = app.register("Ada").await;
    let change = async |body: Value| app.post("/auth/password-change").by(&ada).json(body).await;
    let answer = change(json!({"current_password": 1, "new_password": "short"})).await;
    assert_eq!(
        answer.details(),
        json!({"current_password": "must be a string", "new_password": "must have 8 to 128 characters"})
    );
    let weak = change(json!({"current_password": PASSWORD, "new_password": "ada@example.com"})).await;
    assert_eq!(weak.error(), (400, "WEAK_PASSWORD".to_owned()));
    for _ in 0..5 {
        let wrong =
            change(json!({"current_password": "wrong", "new_password": "another-passphrase-77"})).await;
        assert_eq!(wrong.error(), (401, "INVALID_CREDENTIALS".to_owned()));
    }
    let locked = change(json!({"current_password": PASSWORD, "new_password": "another-passphrase-77"})).await;
    assert_eq!(locked.error(), (423, "ACCOUNT_LOCKED".to_owned()));
    assert_eq!(locked.header("retry-after"), Some("900"));
}

#[tokio::test]
async fn a_browser_that_registers_gets_cookies_and_ends_the_session_that_it_had() {
    let app = start().await;
    let register = |email: &str, device: Value| {
        let body = json!({"email": email, "password": PASSWORD, "name": "Ada", "device_name": device});
        app.post("/auth/register").json(body)
    };
    let answer = register("phone@example.com", Value::Null).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (201, None));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.json()["device_token"].as_str().map(str::len), Some(64));

    let first = register("first@example.com", json!("web")).await;
    let body = first.expect(201);
    assert_eq!((&body["refresh_token"], &body["device_token"]), (&Value::Null, &Value::Null));
    let (token, attributes) = first.cookie("__Secure-refresh_token").unwrap();
    assert_eq!(attributes, "Max-Age=2592000; Path=/api/v1/auth; HttpOnly; Secure; SameSite=Strict");
    assert!(first.cookie("__Secure-device_token").is_some());

    let cookie = format!("__Secure-refresh_token={token}");
    let second = register("second@example.com", json!("web")).header(header::COOKIE, &cookie).await;
    let (next, _) = second.cookie("__Secure-refresh_token").unwrap();
    let refresh =
        async |token: &str| app.identity.sessions().refresh(&app.identity.context("test"), token).await;
    assert!(matches!(refresh(&token).await, Err(SessionError::RefreshTokenInvalid)));
    assert!(refresh(&next).await.is_ok());
}
