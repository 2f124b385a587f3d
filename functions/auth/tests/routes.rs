//! Tests the answers of the routes to valid, invalid and repeated requests.

use std::future::IntoFuture as _;
use std::time::Duration;

use axum::http::{HeaderName, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use switchyard_api::ApiSettings;
use switchyard_harness::app::{Answer, App, PASSWORD};
use switchyard_harness::store::Backend;
use switchyard_identity::{Identity, IdentitySettings, testing};
use switchyard_program::assemble;

async fn start() -> App {
    App::start(Backend::Sqlite, |_, identity| switchyard_fn_auth::router(identity.clone())).await
}

/// Starts with a page of another origin that may use cookies.
async fn start_with_page() -> App {
    let cors_origins = "https://app.example.net".parse().expect("the origin is valid");
    let settings = ApiSettings { cors_origins, ..ApiSettings::default() };
    let router = |_: &_, identity: &Identity| switchyard_fn_auth::router(identity.clone());
    App::start_with(Backend::Sqlite, settings, router).await
}

/// The credentials of the user that the tests register.
fn credentials() -> Value {
    json!({"email": "ada@example.com", "password": PASSWORD})
}

/// The same, sent by a browser.
fn browser() -> Value {
    json!({"email": "ada@example.com", "password": PASSWORD, "device_name": "web"})
}

/// Registers the user, who then logs in with a browser.
async fn log_in_with_browser(app: &App) -> Answer {
    app.register("Ada").await;
    app.post("/auth/login").json(browser()).await
}

/// The value and the attributes of the refresh token's cookie.
fn cookie(answer: &Answer) -> Option<(String, String)> {
    answer.cookie("__Secure-refresh_token")
}

/// The value and the attributes of the device token's cookie.
fn device_cookie(answer: &Answer) -> Option<(String, String)> {
    answer.cookie("__Secure-device_token")
}

/// The attributes of the cookie, except how long it is kept.
const STRICT: &str = "Path=/api/v1/auth; HttpOnly; Secure; SameSite=Strict";

fn sent(token: &str) -> String {
    format!("__Secure-refresh_token={token}")
}

#[tokio::test]
async fn a_body_that_is_not_json_gets_400_and_one_of_another_type_415() {
    let app = start().await;
    let send = async |content_type: &str, body: &'static str| {
        app.post("/auth/login").header(header::CONTENT_TYPE, content_type).body(body).await.error().0
    };
    assert_eq!(send("application/json", "{").await, 400);
    assert_eq!(send("application/json", "[]").await, 400);
    assert_eq!(send("text/plain", "{}").await, 415);
    assert_eq!(app.post("/auth/login").await.error(), (400, "VALIDATION_ERROR".to_owned()));
    assert_eq!(app.get("/auth/login").await.error(), (405, "METHOD_NOT_ALLOWED".to_owned()));
}

#[tokio::test]
async fn browsers_get_their_tokens_in_cookies_alone_and_others_in_the_answer_alone() {
    let app = start().await;
    app.register("Ada").await;
    for device in ["web", "Ada's phone", "Web"] {
        let login = json!({"email": "ada@example.com", "password": PASSWORD, "device_name": device});
        let answer = app.post("/auth/login").json(login).await;
        let token = answer.expect(200)["refresh_token"].as_str().map(str::len);
        let cookie = cookie(&answer).map(|(token, attributes)| (token.len(), attributes));
        let attributes = format!("Max-Age=2592000; {STRICT}");
        let expected = if device == "web" { (None, Some((86, attributes))) } else { (Some(86), None) };
        assert_eq!((token, cookie), expected, "{device}");
        let token = answer.json()["device_token"].as_str().map(str::len);
        let cookie = device_cookie(&answer).map(|(token, attributes)| (token.len(), attributes));
        let attributes = format!("Max-Age=34560000; {STRICT}");
        let expected = if device == "web" { (None, Some((64, attributes))) } else { (Some(64), None) };
        assert_eq!((token, cookie), expected, "{device}");
    }
}

#[tokio::test]
async fn wrong_passwords_of_others_do_not_shut_out_a_known_device() {
    let app = start_with_page().await;
    let registered = log_in_with_browser(&app).await;
    let (token, attributes) = device_cookie(&registered).unwrap();
    let log_in = |password: &str| {
        let body = json!({"email": "ada@example.com", "password": password, "device_name": "web"});
        app.post("/auth/login").header(header::HOST, "api.example.com").json(body)
    };
    for _ in 0..5 {
        assert_eq!(log_in("wrong").await.status, 401);
    }
    let with_cookie = |name: &str, origin: &str| {
        let call = log_in(PASSWORD).header(header::COOKIE, &format!("theme=dark; {name}={token}"));
        call.header(header::ORIGIN, origin)
    };
    let own = "https://api.example.com";
    for (name, origin, status) in [
        ("__Secure-device_token", own, 200),
        ("__Secure-device_token", "https://app.example.net", 200),
        // A page that may not use cookies could otherwise guess for the device until it is locked.
        ("__Secure-device_token", "https://evil.example", 423),
        // A cookie that came without TLS.
        ("device_token", own, 423),
        ("__Secure-refresh_token", own, 423),
    ] {
        assert_eq!(with_cookie(name, origin).await.status, status, "{name} from {origin}");
    }
    let in_body = |token: Value| {
        let body = json!({"email": "ada@example.com", "password": PASSWORD, "device_token": token});
        app.post("/auth/login").json(body)
    };
    for (given, status) in
        [(json!(token), 200), (json!("x"), 423), (json!(""), 423), (Value::Null, 423), (json!(7), 400)]
    {
        assert_eq!(in_body(given.clone()).await.status, status, "{given}");
    }
    // A refresh starts the cookie's time again, and a log-out leaves it.
    let (refresh_token, _) = cookie(&registered).unwrap();
    let refreshed = app.post("/auth/refresh").header(header::COOKIE, &sent(&refresh_token)).await;
    assert_eq!(device_cookie(&refreshed), Some((token.clone(), attributes)));
    let (refresh_token, _) = cookie(&refreshed).unwrap();
    let logged_out = app.post("/auth/logout").header(header::COOKIE, &sent(&refresh_token)).await;
    assert_eq!((logged_out.status, device_cookie(&logged_out)), (204, None));
    assert_eq!(with_cookie("__Secure-device_token", own).await.status, 200);
}

#[tokio::test]
async fn a_log_in_that_finds_the_queue_full_gets_503_at_once_and_may_be_repeated() {
    // One password at a time, and each takes about a quarter of a second: about twenty wait for five seconds.
    let app = App::start(Backend::Sqlite, |db, _| {
        let slow = IdentitySettings { bcrypt_cost: 12, password_hash_threads: 1, ..testing::settings() };
        switchyard_fn_auth::router(assemble(db.clone(), testing::kernel_settings(), slow))
    })
    .await;
    app.register("Ada").await;
    let signed_in = app.post("/auth/login").json(credentials()).await.expect(200);
    let mut guesses = tokio::task::JoinSet::new();
    for n in 0..60 {
        let body = json!({"email": format!("user{n}@example.com"), "password": "wrong"});
        guesses.spawn(app.post("/auth/login").json(body).into_future());
    }
    let refused = loop {
        let answer = guesses.join_next().await.unwrap().unwrap();
        if answer.status != 401 {
            break answer;
        }
    };
    assert_eq!(refused.error(), (503, "UNAVAILABLE".to_owned()));
    let message = "The service is busy, and the request took no effect; try again a little later.";
    assert_eq!(refused.json()["error"]["message"], message);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");

    let log_in = |token: &Value| {
        let body = json!({"email": "ada@example.com", "password": PASSWORD, "device_token": token});
        app.post("/auth/login").once("k").json(body)
    };
    let begun = std::time::Instant::now();
    assert_eq!(log_in(&Value::Null).await.error(), (503, "UNAVAILABLE".to_owned()));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    // Nothing took effect, so the key may be used for another request. A known device has a place of its own.
    assert_eq!(log_in(&signed_in["device_token"]).await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_browser_that_logs_in_again_ends_the_session_that_it_had() {
    let app = start().await;
    let (first, _) = cookie(&log_in_with_browser(&app).await).unwrap();
    // Not what sends the cookie and gets its tokens in the answer.
    app.post("/auth/login").header(header::COOKIE, &sent(&first)).json(credentials()).await.expect(200);
    let refreshed = app.post("/auth/refresh").header(header::COOKIE, &sent(&first)).await;
    let (second, _) = cookie(&refreshed).unwrap();
    let answer = app.post("/auth/login").header(header::COOKIE, &sent(&second)).json(browser()).await;
    let (third, _) = cookie(&answer).unwrap();
    app.post("/auth/refresh").header(header::COOKIE, &sent(&second)).await.expect(401);
    app.post("/auth/refresh").header(header::COOKIE, &sent(&third)).await.expect(200);
}

#[tokio::test]
async fn a_browser_refreshes_and_logs_out_with_its_cookie_alone() {
    let app = start().await;
    let (first, _) = cookie(&log_in_with_browser(&app).await).unwrap();
    let refreshed =
        app.post("/auth/refresh").header(header::COOKIE, &format!("theme=dark; {}; x=y", sent(&first))).await;
    let access_token = refreshed.expect(200)["access_token"].as_str().unwrap().to_owned();
    assert_eq!(refreshed.json()["refresh_token"], Value::Null);
    let (second, _) = cookie(&refreshed).unwrap();
    assert_ne!(second, first);

    app.wait(Duration::from_secs(60 * 60)); // the access token has expired
    let removed = Some((String::new(), format!("Max-Age=0; {STRICT}")));
    for _ in 0..2 {
        let call = app.post("/auth/logout").bearer(&access_token).header(header::COOKIE, &sent(&second));
        let logged_out = call.await;
        assert_eq!((logged_out.status, cookie(&logged_out)), (204, removed.clone()));
    }
    let late = app.post("/auth/refresh").header(header::COOKIE, &sent(&second)).await;
    assert_eq!(late.error(), (401, "REFRESH_TOKEN_INVALID".to_owned()));
    assert_eq!(cookie(&late), removed, "a cookie that is refused is removed");
}

#[tokio::test]
async fn logging_out_takes_a_refresh_token_or_an_access_token_and_never_fails() {
    let app = start().await;
    let ada = app.register("Ada").await;
    let elsewhere = app.sign_in(&ada.email).await;
    let refresh =
        async |token: &str| app.post("/auth/refresh").json(json!({"refresh_token": token})).await.status;
    for call in [
        app.post("/auth/logout"),
        app.post("/auth/logout").bearer("nonsense"),
        app.post("/auth/logout").json(json!({})),
        app.post("/auth/logout").json(json!({"refresh_token": "x"})),
        app.post("/auth/logout").header(header::COOKIE, &sent("x")),
    ] {
        let answer = call.await;
        let removed = Some((String::new(), format!("Max-Age=0; {STRICT}")));
        assert_eq!((answer.status, cookie(&answer)), (204, removed));
    }
    let body = json!({"refresh_token": ada.refresh_token});
    assert_eq!(app.post("/auth/logout").json(body).await.status, 204);
    assert_eq!(refresh(&ada.refresh_token).await, 401);
    assert_eq!(refresh(&elsewhere.refresh_token).await, 200);
    assert_eq!(app.post("/auth/logout").by(&elsewhere).await.status, 204);
    let faults = app.post("/auth/logout").json(json!({"refresh_token": 7, "token": "x"})).await;
    assert_eq!(faults.error(), (400, "VALIDATION_ERROR".to_owned()));
}

#[tokio::test]
async fn only_pages_of_the_api_and_of_listed_origins_use_the_cookie() {
    let app = start_with_page().await;
    let (token, _) = cookie(&log_in_with_browser(&app).await).unwrap();
    let call = |path: &str, origin: &str| {
        let call = app.post(path).header(header::HOST, "api.example.com").header(header::ORIGIN, origin);
        call.header(header::COOKIE, &sent(&token))
    };
    for origin in
        ["https://evil.example", "null", "http://api.example.com", "https://api.example.com.evil.example"]
    {
        for path in ["/auth/refresh", "/auth/logout"] {
            let refused = call(path, origin).await;
            assert_eq!(refused.error(), (403, "FORBIDDEN".to_owned()), "{path} from {origin}");
            let fault = "must be the API's own or one of CORS_ORIGINS for a request that uses a cookie";
            assert_eq!(refused.details(), json!({"Origin": fault}));
            assert_eq!(cookie(&refused), None);
        }
        // Nor can such a page remove the cookie.
        let without = app.post("/auth/logout").header(header::ORIGIN, origin).await;
        assert_eq!((without.status, cookie(&without)), (204, None));
    }
    for origin in ["https://api.example.com", "https://app.example.net"] {
        assert_eq!(call("/auth/refresh", origin).await.status, 200, "{origin}");
    }
    assert_eq!(call("/auth/logout", "https://app.example.net").await.status, 204);
}

#[tokio::test]
async fn a_page_of_another_site_gets_a_cookie_that_its_browser_sends_back() {
    let app = start_with_page().await;
    app.register("Ada").await;
    let cross_site = "Path=/api/v1/auth; HttpOnly; Secure; SameSite=None; Partitioned";
    for (site, origin, attributes) in [
        ("cross-site", "https://app.example.net", cross_site),
        ("cross-site", "https://evil.example", STRICT),
        ("same-site", "https://app.example.net", STRICT),
        ("same-origin", "https://api.example.com", STRICT),
    ] {
        let from_page = |path: &str| {
            let call = app.post(path).header(header::HOST, "api.example.com").header(header::ORIGIN, origin);
            call.header(HeaderName::from_static("sec-fetch-site"), site)
        };
        let answer = from_page("/auth/login").json(browser()).await;
        assert_eq!(cookie(&answer).unwrap().1, format!("Max-Age=2592000; {attributes}"), "{site} {origin}");
        let logged_out = from_page("/auth/logout").await;
        let removed =
            (origin != "https://evil.example").then(|| (String::new(), format!("Max-Age=0; {attributes}")));
        assert_eq!(cookie(&logged_out), removed, "{site} {origin}");
    }
}

#[tokio::test]
async fn on_localhost_the_cookie_needs_no_tls() {
    let app = start().await;
    app.register("Ada").await;
    let local = |path: &str| app.post(path).header(header::HOST, "localhost:3000");
    let answer = local("/auth/login").header(header::ORIGIN, "http://localhost:3000").json(browser()).await;
    let (token, attributes) = answer.cookie("refresh_token").unwrap();
    assert_eq!(attributes, "Max-Age=2592000; Path=/api/v1/auth; HttpOnly; SameSite=Strict");
    let (device_token, attributes) = answer.cookie("device_token").unwrap();
    assert_eq!(attributes, "Max-Age=34560000; Path=/api/v1/auth; HttpOnly; SameSite=Strict");
    for _ in 0..5 {
        let wrong = json!({"email": "ada@example.com", "password": "wrong"});
        assert_eq!(local("/auth/login").json(wrong).await.status, 401);
    }
    let known = local("/auth/login").header(header::COOKIE, &format!("device_token={device_token}"));
    assert_eq!(known.json(credentials()).await.status, 200);
    assert_eq!(local("/auth/login").json(credentials()).await.status, 423);
    let pair = format!("refresh_token={token}");
    // Elsewhere, a cookie that came without TLS is not read.
    let elsewhere = app.post("/auth/refresh").header(header::HOST, "api.example.com");
    let refused = elsewhere.header(header::COOKIE, &pair).await;
    assert_eq!(refused.error(), (401, "REFRESH_TOKEN_INVALID".to_owned()));
    let refreshed = local("/auth/refresh").header(header::COOKIE, &pair).await;
    assert_eq!(refreshed.status, 200);
    let removed = "refresh_token=; Max-Age=0; Path=/api/v1/auth; HttpOnly; SameSite=Strict";
    assert_eq!(local("/auth/logout").await.header("set-cookie"), Some(removed));
}

#[tokio::test]
async fn guessing_the_idempotency_key_of_a_refresh_does_not_reveal_its_answer() {
    let app = start().await;
    let (token, _) = cookie(&log_in_with_browser(&app).await).unwrap();
    let refresh = |cookie: &str| app.post("/auth/refresh").once("1").header(header::COOKIE, cookie);
    let first = refresh(&sent(&token)).await;
    let again = refresh(&format!("a=b; {}", sent(&token))).await;
    assert_eq!((first.status, again.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!((&again.body, again.header("set-cookie")), (&first.body, first.header("set-cookie")));
    let reused = (422, "IDEMPOTENCY_KEY_REUSED".to_owned());
    assert_eq!(app.post("/auth/refresh").once("1").await.error(), reused);
    assert_eq!(refresh(&sent("x")).await.error(), reused);
}

#[tokio::test]
async fn a_refresh_prefers_the_body_to_the_cookie_and_requires_a_token() {
    let app = start().await;
    let ada = app.register("Ada").await;
    let invalid = (401, "REFRESH_TOKEN_INVALID".to_owned());
    assert_eq!(app.post("/auth/refresh").await.error(), invalid);
    assert_eq!(app.post("/auth/refresh").json(json!({})).await.error(), invalid);
    assert_eq!(app.post("/auth/refresh").json(json!({"refresh_token": null})).await.error(), invalid);
    assert_eq!(app.post("/auth/refresh").json(json!({"refresh_token": "x"})).await.error(), invalid);
    let wrong = app.post("/auth/refresh").json(json!({"refresh_token": 7, "token": "x"})).await;
    assert_eq!(
        wrong.details(),
        json!({"refresh_token": "must be a string", "token": "is not a known field"})
    );
    let body = json!({"refresh_token": ada.refresh_token});
    let answer = app.post("/auth/refresh").header(header::COOKIE, &sent("x")).json(body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(cookie(&answer), None, "the session does not belong to a browser");
}

#[tokio::test]
async fn signing_in_ignores_a_bad_access_token() {
    let app = start().await;
    let ada = app.register("Ada").await;
    app.wait(Duration::from_secs(3600));
    let login = json!({"email": ada.email, "password": PASSWORD});
    assert_eq!(app.post("/auth/login").by(&ada).json(login.clone()).await.status, 200);
    assert_eq!(app.post("/auth/login").bearer("nonsense").json(login).await.status, 200);
    let refresh = json!({"refresh_token": ada.refresh_token});
    assert_eq!(app.post("/auth/refresh").by(&ada).json(refresh).await.status, 200);
}

#[tokio::test]
async fn private_answers_are_not_cached_and_the_public_keys_are() {
    let app = start().await;
    let answer = log_in_with_browser(&app).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let keys = app.call(Method::GET, "/.well-known/jwks.json").await;
    assert_eq!(keys.header("cache-control"), Some("public, max-age=300"));
    let keys = keys.expect(200);
    let key = &keys["keys"][0];
    assert_eq!((&key["kty"], &key["use"], &key["alg"]), (&json!("RSA"), &json!("sig"), &json!("RS256")));
    assert_eq!(key.as_object().unwrap().len(), 6, "{key} has a private member");
}

#[tokio::test]
async fn the_discovery_document_says_where_the_keys_are() {
    let app = start().await;
    let answer = app.call(Method::GET, "/.well-known/openid-configuration").await;
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let document = answer.expect(200);
    assert_eq!(document["issuer"], "switchyard");
    assert_eq!(document["jwks_uri"], "https://api.example.com/.well-known/jwks.json");
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["RS256"]));
    let claimed = document["claims_supported"].as_array().unwrap();
    let token = app.register("Ada").await.access_token;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["client_id"], claims["aud"]);
    let mut names: Vec<_> = claims.as_object().unwrap().keys().map(|name| json!(name)).collect();
    names.sort_by_key(Value::to_string);
    let mut claimed = claimed.clone();
    claimed.sort_by_key(Value::to_string);
    assert_eq!(names, claimed);
}

#[tokio::test]
async fn without_a_url_there_is_no_discovery_document() {
    let read = async |public_url: Option<&str>, issuer: &str| {
        let settings = IdentitySettings {
            public_url: public_url.map(|url| url.parse().unwrap()),
            token_issuer: issuer.to_owned(),
            ..testing::settings()
        };
        let app = App::start(Backend::Sqlite, |db, _| {
            switchyard_fn_auth::router(assemble(db.clone(), testing::kernel_settings(), settings))
        });
        app.await.call(Method::GET, "/.well-known/openid-configuration").await
    };
    assert_eq!(read(None, "switchyard").await.error(), (404, "NOT_FOUND".to_owned()));
    for (public_url, issuer, keys) in [
        (None, "https://id.example.com/", "https://id.example.com/.well-known/jwks.json"),
        (Some("https://example.com/shop"), "switchyard", "https://example.com/shop/.well-known/jwks.json"),
        (
            Some("https://example.com/shop"),
            "https://id.example.com",
            "https://example.com/shop/.well-known/jwks.json",
        ),
    ] {
        let document = read(public_url, issuer).await.expect(200);
        assert_eq!((&document["issuer"], &document["jwks_uri"]), (&json!(issuer), &json!(keys)));
    }
}
