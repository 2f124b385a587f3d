//! Requests beyond the rate limits.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::{address_of, register};
use crate::everywhere::Everywhere;
use crate::steering::PACE;

pub(super) async fn replay(api: &Everywhere) {
    let from = address_of(90);
    let guess = |number: u32| {
        let body = json!({"email": format!("guess-{number}@example.com"), "password": "wrong"});
        api.post("/auth/login").from(from).json(body)
    };
    // The windows of an address begin at a time of their own: none may begin in between.
    api.set_pace(Duration::ZERO);
    for number in 0..30 {
        api.ask(401, guess(number)).await;
    }
    api.ask(429, guess(30)).await;
    // Each operation is counted by itself.
    for _ in 0..30 {
        api.ask(401, api.post("/auth/refresh").from(from)).await;
    }
    api.ask(429, api.post("/auth/refresh").from(from)).await;
    api.ask(400, api.post("/auth/register").from(from).once("key").json(json!({}))).await;
    api.ask(405, api.get("/auth/register").from(from)).await;
    api.ask(401, api.get("/auth/me").from(from)).await;
    api.set_pace(PACE);
    api.wait(Duration::from_secs(15 * 60));
    api.ask(401, guess(31)).await;
    users(api).await;
}

async fn users(api: &Everywhere) {
    let ada = register(api, "Eager", address_of(91)).await;
    let path = format!("/users/{}", ada.id);
    api.set_pace(Duration::ZERO);
    for number in 0..39 {
        let call = if number % 2 == 0 { api.get("/auth/me") } else { api.get(&path) };
        api.ask(200, call.by(&ada)).await;
    }
    for call in [api.get("/auth/me"), api.get(&path), api.post("/auth/logout-all"), api.delete(&path)] {
        api.ask(429, call.by(&ada)).await;
    }
    api.ask(204, api.post("/auth/logout").by(&ada)).await; // needs no user, so it does not count
    api.ask(200, api.call(Method::GET, "/healthz").by(&ada)).await;
    api.ask(404, api.get("/nothing").by(&ada)).await;
    api.ask(404, api.get("/auth/nothing").by(&ada)).await;
    api.ask(405, api.put("/auth/me").by(&ada)).await;
    api.set_pace(PACE);
    api.wait(Duration::from_secs(60));
    api.ask(200, api.get("/auth/me").by(&ada)).await;
}
