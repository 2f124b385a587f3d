//! The audit log.

use std::time::Duration;

use serde_json::{Value, json};
use switchyard_ambient::Uuid;
use switchyard_harness::app::{App, Person};

crate::on_every_backend!(
    actions_are_recorded_and_the_log_verifies,
    denied_attempts_are_recorded,
    denied_attempts_after_the_first_are_counted,
    bad_tokens_are_recorded_once_for_an_address_and_window,
    a_refresh_token_that_is_replayed_for_long_is_recorded_once_a_window,
);

fn actions(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

async fn actions_are_recorded_and_the_log_verifies(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    let second = std::time::Duration::from_secs(1);
    app.wait(second);
    app.patch(&format!("/users/{}", ada.id)).by(&ada).json(json!({"name": "Ada King"})).await.expect(200);
    app.wait(second);
    let request_id = axum::http::HeaderName::from_static("x-request-id");
    let disable = app.post(&format!("/users/{}/disable", ada.id)).by(&admin).header(request_id, "req-7");
    disable.from([203, 0, 113, 7].into()).await.expect(200);

    let of_ada = app.get(&format!("/users/{}/audit-log", ada.id)).by(&admin).await.expect(200);
    assert_eq!(actions(&of_ada), ["user.disabled", "user.changed", "account.registered"]);
    let entry = &of_ada["data"][0];
    assert_eq!(
        *entry,
        json!({
            "id": entry["id"], "time": "2033-05-18T03:33:22.000Z", "actor": admin.id, "roles": ["admin", "customer"],
            "action": "user.disabled", "outcome": "success", "subject": ada.id, "resource": format!("users/{}", ada.id),
            "address": "203.0.113.7", "user_agent": null, "request_id": "req-7", "details": {},
        })
    );
    let list = async |query: &str| app.get(&format!("/audit-logs?{query}")).by(&admin).await.expect(200);
    assert_eq!(actions(&list(&format!("actor={}&subject={}", admin.id, ada.id)).await), ["user.disabled"]);
    assert_eq!(actions(&list("action=user.changed").await), ["user.changed"]);
    assert_eq!(actions(&list("from=2033-05-18T03:33:21Z").await), ["user.disabled", "user.changed"]);
    assert_eq!(
        actions(&list(&format!("subject={}&to=2033-05-18T03:33:20Z", ada.id)).await),
        ["account.registered"]
    );
    for (query, field) in [
        ("action=nope", "action"),
        ("actor=nobody", "actor"),
        ("actor=", "actor"),
        ("subject=ada", "subject"),
        ("subject=role:", "subject"),
        ("from=2033-05-18T03:33:21Z&to=2033-05-18T03:33:20Z", "to"),
    ] {
        let refused = app.get(&format!("/audit-logs?{query}")).by(&admin).await;
        assert_eq!(refused.status, 400, "{query}");
        assert!(refused.details()[field].is_string(), "{refused:?}");
    }
    let upper = ada.id.to_string().to_uppercase();
    assert_eq!(actions(&list(&format!("subject={upper}&actor=anonymous")).await), ["account.registered"]);
    let registered = list("actor=anonymous&action=account.registered").await;
    assert_eq!(actions(&registered), ["account.registered"]);
    assert_eq!(actions(&list("subject=role:nothing").await), [""; 0]);
    let page = list("limit=2").await;
    let next = page["pagination"]["next_cursor"].as_str().unwrap();
    assert_eq!(actions(&page), ["user.disabled", "user.changed"]);
    assert_eq!(actions(&list(&format!("limit=2&cursor={next}")).await).len(), 2);

    let verified = app.get("/audit-logs/verify").by(&admin).await.expect(200);
    assert_eq!((&verified["valid"], &verified["first_break"]), (&json!(true), &json!(null)));
    assert_eq!((&verified["entries"], &verified["next_cursor"]), (&json!(5), &json!(null)));

    let (mut entries, mut query) = (0, "limit=2".to_owned());
    loop {
        let part = app.get(&format!("/audit-logs/verify?{query}")).by(&admin).await.expect(200);
        entries += part["entries"].as_u64().unwrap();
        let Some(next) = part["next_cursor"].as_str() else { break };
        query = format!("limit=2&cursor={next}");
    }
    assert_eq!(entries, 5);
    for (query, field) in [("limit=0", "limit"), ("limit=10001", "limit"), ("page=2", "page")] {
        let refused = app.get(&format!("/audit-logs/verify?{query}")).by(&admin).await;
        assert_eq!(refused.status, 400);
        assert!(refused.details()[field].is_string(), "{refused:?}");
    }
}

async fn denied_attempts_are_recorded(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    assert_eq!(app.get("/audit-logs").by(&ada).await.status, 403);
    assert_eq!(app.get(&format!("/users/{}", admin.id)).by(&ada).await.status, 404);
    let page = app.get("/audit-logs?action=access.denied").by(&admin).await.expect(200);
    let entries = page["data"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    for entry in entries {
        assert_eq!((&entry["actor"], &entry["outcome"]), (&json!(ada.id), &json!("denied")));
    }
}

/// The entries of an action: actor, address and details, the latest first.
async fn entries(app: &App, admin: &Person, action: &str) -> Vec<(Value, Value, Value)> {
    let page = app.get(&format!("/audit-logs?action={action}")).by(admin).await.expect(200);
    let entries = page["data"].as_array().unwrap().iter();
    entries.map(|e| (e["actor"].clone(), e["address"].clone(), e["details"].clone())).collect()
}

async fn denied_attempts_after_the_first_are_counted(app: App) {
    let (ada, eve) = (app.register("Ada").await, app.register("Eve").await);
    let attempt = async |number: u128, person: &Person| {
        let id = Uuid::from_u128(0x0190_a1b2_0000_7000_8000_0000_0000_0000 + number);
        let answer = app.get(&format!("/users/{id}")).by(person).await;
        assert_eq!(answer.status, 404);
    };
    for number in 0..50 {
        attempt(number, &ada).await;
    }
    attempt(50, &eve).await;
    app.wait(Duration::from_secs(15 * 60 - 1));
    let admin = app.admin().await;
    let found = entries(&app, &admin, "access.denied").await;
    let mut found: Vec<_> = found.into_iter().map(|(actor, _, details)| (actor, details)).collect();
    found.sort_by_key(|(actor, _)| actor != &json!(ada.id));
    assert_eq!(found, [(json!(ada.id), json!({})), (json!(eve.id), json!({}))]);

    app.wait(Duration::from_secs(1));
    let again = app.sign_in("ada@example.com").await;
    attempt(51, &again).await;
    attempt(52, &again).await;
    let found = entries(&app, &admin, "access.denied").await;
    assert_eq!((found.len(), &found[0].0, &found[0].2), (3, &json!(ada.id), &json!({"suppressed": "49"})));
}

async fn bad_tokens_are_recorded_once_for_an_address_and_window(app: App) {
    let flood = async |requests: u32, address: [u8; 4]| {
        for _ in 0..requests {
            let answer = app.get("/auth/me").bearer("nonsense").from(address.into()).await;
            assert_eq!((answer.status, answer.error().1.as_str()), (401, "TOKEN_INVALID"));
        }
    };
    let expired = app.register("Ada").await;
    app.wait(Duration::from_secs(15 * 60));
    flood(20, [203, 0, 113, 7]).await;
    flood(2, [203, 0, 113, 8]).await;
    assert_eq!(app.get("/auth/me").by(&expired).await.status, 401);
    let action = "access.token_refused";
    let entry = |address: &str, details: Value| (json!("anonymous"), json!(address), details);
    let admin = app.admin().await;
    let mut found = entries(&app, &admin, action).await;
    found.sort_by_key(|(_, address, _)| address.to_string());
    assert_eq!(found, [entry("203.0.113.7", json!({})), entry("203.0.113.8", json!({}))]);
    app.wait(Duration::from_secs(15 * 60));
    flood(1, [203, 0, 113, 7]).await;
    let admin = app.admin().await;
    let found = entries(&app, &admin, action).await;
    assert_eq!((found.len(), &found[0]), (3, &entry("203.0.113.7", json!({"suppressed": "19"}))));
}

async fn a_refresh_token_that_is_replayed_for_long_is_recorded_once_a_window(app: App) {
    let ada = app.register("Ada").await;
    let refresh = async |token: &str| app.post("/auth/refresh").json(json!({ "refresh_token": token })).await;
    let next = refresh(&ada.refresh_token).await.expect(200);
    refresh(next["refresh_token"].as_str().unwrap()).await.expect(200);
    for (entries_so_far, details) in [(1, json!({})), (2, json!({})), (3, json!({"suppressed": "4"}))] {
        for _ in 0..5 {
            assert_eq!(refresh(&ada.refresh_token).await.status, 401);
        }
        let admin = app.admin().await;
        let found = entries(&app, &admin, "session.refresh_token_reused").await;
        assert_eq!((found.len(), &found[0].2), (entries_so_far, &details));
        app.wait(Duration::from_secs(15 * 60));
    }
}
