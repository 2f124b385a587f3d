//! Tokens that are refreshed, reused, expired or altered, and the ends of sessions.

use std::time::Duration;

use axum::http::{HeaderName, header};
use serde_json::{Value, json};
use switchyard_harness::app::{Answer, PASSWORD, Person};

use super::{address_of, person, register, sign_in};
use crate::everywhere::Everywhere;
use crate::place::ORIGIN;

pub(super) async fn replay(api: &Everywhere) {
    rotation(api).await;
    cookies(api).await;
    ends(api).await;
    access_tokens(api).await;
    expiry(api).await;
}

async fn refresh(api: &Everywhere, status: u16, token: Value) -> Value {
    let call = api.post("/auth/refresh").from(address_of(30)).json(json!({"refresh_token": token}));
    api.ask(status, call).await.json()
}

async fn rotation(api: &Everywhere) {
    let ada = register(api, "Refresher", address_of(31)).await;
    let second = person(&refresh(api, 200, json!(ada.refresh_token)).await);
    let third = person(&refresh(api, 200, json!(second.refresh_token)).await);
    api.ask(200, api.get("/auth/me").by(&third)).await;
    // The second token is the latest predecessor, and yields the same successor again.
    let again = person(&refresh(api, 200, json!(second.refresh_token)).await);
    assert_eq!(again.refresh_token, third.refresh_token);
    // The first token is reused, so the session ends, and with it the time to repeat a refresh.
    refresh(api, 401, json!(ada.refresh_token)).await;
    refresh(api, 401, json!(ada.refresh_token)).await;
    refresh(api, 401, json!(second.refresh_token)).await;
    refresh(api, 401, json!(third.refresh_token)).await;
    api.ask(200, api.get("/auth/me").by(&third)).await;
    api.ask(401, api.patch("/auth/me").by(&third).json(json!({"name": "Ended"}))).await;
    let late = register(api, "Latecomer", address_of(31)).await;
    refresh(api, 200, json!(late.refresh_token)).await;
    api.wait(Duration::from_secs(10));
    refresh(api, 401, json!(late.refresh_token)).await;
    let mut altered = third.refresh_token.clone();
    altered.replace_range(40..41, if &altered[40..41] == "A" { "B" } else { "A" });
    for token in [json!(""), json!("x"), json!(altered), json!("AAAA".repeat(16)), Value::Null] {
        refresh(api, 401, token).await;
    }
    refresh(api, 400, json!(7)).await;
    for (media_type, body, status) in
        [("application/json", "", 401), ("text/plain", "x", 415), ("application/json", "{}", 401)]
    {
        let call = api.post("/auth/refresh").from(address_of(32)).header(header::CONTENT_TYPE, media_type);
        api.ask(status, call.body(body)).await;
    }
    api.ask(401, api.post("/auth/refresh").from(address_of(32))).await;
}

/// The cookie of an answer, as a browser sends it back.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

async fn cookies(api: &Everywhere) {
    let from = address_of(33);
    let body = json!({"email": "web@example.com", "password": PASSWORD, "name": "Web", "device_name": "web"});
    let registered = api.ask(201, api.post("/auth/register").from(from).json(body)).await;
    let call = |cookie: &str| api.post("/auth/refresh").from(from).header(header::COOKIE, cookie);
    let second = api.ask(200, call(&format!("theme=dark; {}; x=\"y\"", cookie(&registered)))).await;
    let third = api.ask(200, call("a=1").header(header::COOKIE, &cookie(&second))).await;
    for cookie in ["", "=", "__Secure-refresh_token", "__Secure-refresh_token=", "refresh_token=x"] {
        api.ask(401, call(cookie)).await;
    }
    api.ask(401, call("__Secure-refresh_token=x")).await; // which is removed
    let latest = cookie(&third);
    for (origin, status) in [("https://evil.example", 403), ("null", 403), (ORIGIN, 200)] {
        api.ask(status, call(&latest).header(header::ORIGIN, origin)).await;
    }
    let body = json!({"email": "web@example.com", "password": PASSWORD, "device_name": "web"});
    let site = HeaderName::from_static("sec-fetch-site");
    for (site_of_page, origin) in
        [("cross-site", ORIGIN), ("same-site", ORIGIN), ("cross-site", "https://evil.example")]
    {
        let login = api.post("/auth/login").from(from).header(header::ORIGIN, origin);
        api.ask(200, login.header(site.clone(), site_of_page).json(body.clone())).await;
    }
    let local = api.post("/auth/login").from(from).header(header::HOST, "localhost:3000").json(body);
    let local = cookie(&api.ask(200, local).await);
    let local_refresh = |host: &str| call(&local).header(header::HOST, host);
    api.ask(401, local_refresh("api.example.org")).await;
    api.ask(200, local_refresh("localhost:3000").header(header::ORIGIN, "http://localhost:3000")).await;
    let logout = || api.post("/auth/logout").header(header::COOKIE, &latest);
    api.ask(403, logout().header(header::ORIGIN, "https://evil.example")).await;
    for _ in 0..2 {
        api.ask(204, logout().bearer("expired")).await;
    }
    api.ask(401, call(&cookie(&third))).await;
    // A browser in which somebody else registers loses its session.
    let register = |name: &str| {
        let email = format!("{}@example.com", name.to_lowercase());
        let body = json!({"email": email, "password": PASSWORD, "name": name, "device_name": "web"});
        api.post("/auth/register").from(from).json(body)
    };
    let first = cookie(&api.ask(201, register("First")).await);
    let second = cookie(&api.ask(201, register("Second").header(header::COOKIE, &first)).await);
    api.ask(401, call(&first)).await;
    api.ask(200, call(&second)).await;
}

async fn ends(api: &Everywhere) {
    let from = address_of(34);
    let one = register(api, "Leaver", from).await;
    let other = sign_in(api, &one.email, from).await;
    let third = sign_in(api, &one.email, from).await;
    api.ask(204, api.post("/auth/logout").by(&one)).await;
    api.ask(204, api.post("/auth/logout").by(&one)).await;
    refresh(api, 401, json!(one.refresh_token)).await;
    refresh(api, 200, json!(other.refresh_token)).await;
    api.ask(204, api.post("/auth/logout-all").by(&third)).await;
    refresh(api, 401, json!(third.refresh_token)).await;
    // Until it expires, it serves to read.
    api.ask(200, api.get("/auth/me").by(&third)).await;
    api.ask(401, api.patch("/auth/me").by(&third).json(json!({"name": "Gone"}))).await;
    api.ask(401, api.post("/auth/logout-all").by(&third)).await;
    api.ask(204, api.post("/auth/logout")).await;
    let fourth = sign_in(api, &one.email, from).await;
    let by_token = |token: &str| api.post("/auth/logout").json(json!({"refresh_token": token}));
    for token in ["x", &fourth.refresh_token, &fourth.refresh_token] {
        api.ask(204, by_token(token)).await;
    }
    refresh(api, 401, json!(fourth.refresh_token)).await;
    api.ask(400, api.post("/auth/logout").json(json!({"token": "x"}))).await;
    api.ask(401, api.post("/auth/logout-all").bearer("x")).await;
}

async fn access_tokens(api: &Everywhere) {
    let ada = register(api, "Bearer", address_of(35)).await;
    let parts: Vec<_> = ada.access_token.split('.').collect();
    let (head, claims, signature) = (parts[0], parts[1], parts[2]);
    let other = register(api, "Other", address_of(35)).await;
    let others_claims = other.access_token.split('.').nth(1).unwrap();
    let authorizations = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer x".to_owned(),
        "Bearer a.b.c".to_owned(),
        format!("Basic {}", ada.access_token),
        ada.access_token.clone(),
        format!("Bearer {head}.{claims}"),
        format!("Bearer {head}.{claims}."),
        format!("Bearer {head}.{others_claims}.{signature}"),
        format!("Bearer eyJhbGciOiJub25lIn0.{claims}."),
        format!("Bearer {}", ada.refresh_token),
        format!("Bearer {} {}", ada.access_token, ada.access_token),
    ];
    for authorization in &authorizations {
        api.ask(401, api.get("/auth/me").header(header::AUTHORIZATION, authorization)).await;
    }
    api.ask(
        200,
        api.get("/auth/me").header(header::AUTHORIZATION, &format!("bEARER   {}", ada.access_token)),
    )
    .await;
    for path in ["/users", "/roles", "/audit-logs", "/permissions", "/users/stats", "/audit-logs/verify"] {
        api.ask(401, api.get(path).bearer("x")).await;
        api.ask(401, api.get(path)).await;
        api.ask(403, api.get(path).by(&ada)).await;
    }
    // Public operations ignore a bad token.
    let login = json!({"email": ada.email, "password": PASSWORD});
    api.ask(200, api.post("/auth/login").from(address_of(35)).bearer("x").json(login.clone())).await;
    api.ask(200, api.post("/auth/login").from(address_of(35)).by(&other).json(login)).await;
}

async fn expiry(api: &Everywhere) {
    let from = address_of(36);
    let ada = register(api, "Mortal", from).await;
    api.wait(Duration::from_secs(15 * 60 - 2));
    api.ask(401, api.get("/auth/me").by(&ada)).await;
    api.ask(401, api.get("/users").by(&ada)).await;
    api.ask(404, api.get("/nothing").by(&ada)).await;
    let mut again: Person = person(&refresh(api, 200, json!(ada.refresh_token)).await);
    api.ask(403, api.patch("/auth/me").by(&again).json(json!({"email": "immortal@example.com"}))).await;
    for _ in 0..3 {
        api.wait(Duration::from_secs(29 * 24 * 60 * 60));
        again = person(&refresh(api, 200, json!(again.refresh_token)).await);
    }
    api.wait(Duration::from_secs(3 * 24 * 60 * 60)); // ninety days after the sign-in
    refresh(api, 401, json!(again.refresh_token)).await;
    sign_in(api, &ada.email, from).await;
}
