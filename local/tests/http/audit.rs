//! The audit log.

use serde_json::{Value, json};
use switchyard_harness::app::App;

crate::on_every_backend!(actions_are_recorded_and_the_log_verifies, denied_attempts_are_recorded);

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
    assert_eq!(app.get("/users").by(&ada).await.status, 403);
    assert_eq!(app.get(&format!("/users/{}", admin.id)).by(&ada).await.status, 404);
    let page = app.get("/audit-logs?action=access.denied").by(&admin).await.expect(200);
    let entries = page["data"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    for entry in entries {
        assert_eq!((&entry["actor"], &entry["outcome"]), (&json!(ada.id), &json!("denied")));
    }
}
