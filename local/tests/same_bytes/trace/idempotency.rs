//! Requests that are sent twice.

use std::time::Duration;

use axum::http::header;
use serde_json::json;
use switchyard_harness::app::PASSWORD;

use super::{address_of, register, sign_in_admin};
use crate::everywhere::Everywhere;

pub(super) async fn replay(api: &Everywhere) {
    strangers(api).await;
    admins(api).await;
    days(api).await;
}

async fn strangers(api: &Everywhere) {
    let from = address_of(80);
    let register_once = |name: &str, key: &str| {
        let body =
            json!({"email": "twice@example.com", "password": PASSWORD, "name": name, "device_name": "web"});
        api.post("/auth/register").from(from).once(key).json(body)
    };
    api.ask(201, register_once("Twice", "8e03978e-40d5-43e8-bc93-6894a57f9324")).await;
    api.ask(201, register_once("Twice", "8e03978e-40d5-43e8-bc93-6894a57f9324")).await;
    let gzip = register_once("Twice", "8e03978e-40d5-43e8-bc93-6894a57f9324");
    api.ask(201, gzip.header(header::ACCEPT_ENCODING, "gzip")).await;
    api.ask(422, register_once("Other", "8e03978e-40d5-43e8-bc93-6894a57f9324")).await;
    api.ask(409, register_once("Twice", "another-key")).await;
    api.ask(409, register_once("Twice", "another-key")).await;
    let long = "k".repeat(256);
    for key in ["", " ", "two words", "\"quoted\"", "\"", &long, &long[..255], "a,b"] {
        let body = json!({"email": "twice@example.com", "password": "wrong"});
        let answer = api.post("/auth/login").from(address_of(81)).once(key).json(body).await;
        assert!(matches!(answer.status, 400 | 401 | 423), "{key:?}: {answer:?}");
    }
    let two = api.post("/auth/login").from(address_of(81)).once("one").once("two");
    let two = two.json(json!({"email": "nobody-2@example.com", "password": "wrong"})).await;
    assert!(matches!(two.status, 400 | 401), "{two:?}");
}

async fn admins(api: &Everywhere) {
    let from = address_of(82);
    let (admin, ada) = (sign_in_admin(api, from).await, register(api, "Repeater", from).await);
    let user = json!({"email": "once@example.net", "name": "Once"});
    let create = || api.post("/users").once("create-1").json(user.clone());
    let first = api.ask(201, create().by(&admin)).await;
    let second = api.ask(201, create().by(&admin)).await;
    assert_eq!(first.body, second.body);
    api.ask(403, create().by(&ada)).await;
    api.ask(403, create().by(&ada)).await;
    api.ask(401, create()).await;
    api.ask(401, create().bearer("x")).await;
    // The same key on another route, with a query that the route does not have, and with a method that ignores it.
    api.ask(
        201,
        api.post("/roles").by(&admin).once("create-1").json(json!({"name": "once", "permissions": []})),
    )
    .await;
    api.ask(
        201,
        api.post("/roles").by(&admin).once("create-1").json(json!({"name": "once", "permissions": []})),
    )
    .await;
    api.ask(
        400,
        api.post("/roles?x=1").by(&admin).once("create-1").json(json!({"name": "once", "permissions": []})),
    )
    .await;
    api.ask(
        200,
        api.get("/roles/once")
            .by(&admin)
            .header("idempotency-key".parse::<axum::http::HeaderName>().unwrap(), "create-1"),
    )
    .await;
    // Error answers are stored too.
    for _ in 0..2 {
        api.ask(400, api.post("/users").by(&admin).once("bad").json(json!({"name": ""}))).await;
        api.ask(
            400,
            api.post("/users")
                .by(&admin)
                .once("worse")
                .header(header::CONTENT_TYPE, "application/json")
                .body("{"),
        )
        .await;
        api.ask(415, api.post("/users").by(&admin).once("text").body("x")).await;
        api.ask(404, api.post("/users/0190a1b2-0000-7000-8000-000000000001/disable").by(&admin).once("404"))
            .await;
        api.ask(404, api.post("/nothing").by(&admin).once("nothing")).await;
        api.ask(204, api.post("/auth/logout").by(&ada).once("out")).await;
    }
    let path = format!("/users/{}", first.json()["id"].as_str().unwrap());
    for (verb, status) in [("disable", 200), ("disable", 200), ("enable", 200), ("disable", 200)] {
        api.ask(status, api.post(&format!("{path}/{verb}")).by(&admin).once(verb)).await;
    }
    api.ask(422, api.post(&format!("/users/{}/disable", ada.id)).by(&admin).once("disable")).await;
}

async fn days(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(83)).await;
    let role = || api.post("/roles").once("daily").json(json!({"name": "daily", "permissions": []}));
    api.ask(201, role().by(&admin)).await;
    api.wait(Duration::from_secs(24 * 60 * 60 - 60));
    let admin = sign_in_admin(api, address_of(83)).await;
    api.ask(201, role().by(&admin)).await;
    api.wait(Duration::from_secs(60));
    api.ask(409, role().by(&admin)).await;
}
