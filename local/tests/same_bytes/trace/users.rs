//! Users, as admins manage them, and attempts of others.

use std::time::Duration;

use axum::http::header;
use serde_json::{Value, json};

use super::{address_of, register, sign_in, sign_in_admin};
use crate::everywhere::Everywhere;

pub(super) async fn replay(api: &Everywhere) {
    life_of_a_user(api).await;
    conditions(api).await;
    strangers(api).await;
    state_of_accounts(api).await;
    edits_and_log_ins(api).await;
    counts(api).await;
}

fn path_of(user: &Value) -> String {
    format!("/users/{}", user["id"].as_str().unwrap())
}

async fn life_of_a_user(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(40)).await;
    let body = json!({"email": "Grace@Navy.example", "name": "Grace", "roles": ["merchant", "customer"]});
    let created = api.ask(201, api.post("/users").by(&admin).json(body.clone())).await;
    let path = path_of(&created.json());
    api.ask(409, api.post("/users").by(&admin).json(body)).await;
    api.ask(200, api.get(&path).by(&admin)).await;
    api.ask(200, api.get(&path.to_uppercase().replace("/USERS", "/users")).by(&admin)).await;
    let fields = json!({"email": "hopper@navy.example", "name": "Grace Hopper"});
    api.ask(200, api.put(&path).by(&admin).json(fields.clone())).await;
    api.ask(200, api.put(&path).by(&admin).json(fields)).await;
    api.ask(200, api.patch(&path).by(&admin).json(json!({"name": "Grace B. Hopper"}))).await;
    api.ask(200, api.patch(&path).by(&admin).json(json!({}))).await;
    api.ask(409, api.patch(&path).by(&admin).json(json!({"email": "ADA@example.org"}))).await;
    api.ask(409, api.put(&path).by(&admin).json(json!({"email": "ada@Example.org", "name": "A"}))).await;
    api.ask(400, api.put(&path).by(&admin).json(json!({"name": "A"}))).await;
    api.ask(204, api.delete(&path).by(&admin)).await;
    for call in [
        api.get(&path),
        api.delete(&path),
        api.patch(&path).json(json!({})),
        api.get(&format!("{path}/profile")),
    ] {
        api.ask(404, call.by(&admin)).await;
    }
    for verb in ["disable", "enable", "unlock"] {
        api.ask(404, api.post(&format!("{path}/{verb}")).by(&admin)).await;
    }
    api.ask(404, api.get(&format!("{path}/roles")).by(&admin)).await;
    api.ask(409, api.post("/users").by(&admin).json(json!({"email": "hopper@navy.example", "name": "B"})))
        .await;
    api.ask(200, api.post(&format!("{path}/restore")).by(&admin)).await;
    api.ask(200, api.post(&format!("{path}/restore")).by(&admin)).await;
    api.ask(200, api.get(&path).by(&admin)).await;
    for body in [
        json!({"email": "x@example.org", "name": "X", "roles": ["nobody", "customer", "nothing"]}),
        json!({"email": "x@example.org", "name": "X", "roles": []}),
        json!({"email": "x@example.org", "name": "X", "roles": ["customer", "customer"]}),
        json!({"email": "x@example.org", "name": "X", "roles": ["Not a role"]}),
        json!({"email": "x@example.org", "name": "X", "password": "a-fairly-long-passphrase-7"}),
    ] {
        api.ask(400, api.post("/users").by(&admin).json(body)).await;
    }
}

async fn conditions(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(41)).await;
    let body = json!({"email": "conditional@example.org", "name": "Conditional"});
    let created = api.ask(201, api.post("/users").by(&admin).json(body)).await;
    let (path, old) = (path_of(&created.json()), created.etag());
    let read = api.get(&path).by(&admin).header(header::IF_NONE_MATCH, &old);
    api.ask(304, read).await;
    api.ask(304, api.get(&path).by(&admin).header(header::IF_NONE_MATCH, "*")).await;
    let new =
        api.ask(200, api.patch(&path).by(&admin).if_match(&old).json(json!({"name": "C"}))).await.etag();
    let fields = json!({"email": "conditional@example.org", "name": "D"});
    for stale in [old.clone(), format!("W/{old}"), "\"\"".to_owned()] {
        api.ask(412, api.put(&path).by(&admin).if_match(&stale).json(fields.clone())).await;
    }
    for malformed in [new.trim_matches('"'), "x, y", "", &format!("*, {new}")] {
        api.ask(400, api.put(&path).by(&admin).if_match(malformed).json(fields.clone())).await;
        let unless = api.delete(&path).by(&admin).header(header::IF_NONE_MATCH, malformed);
        api.ask(400, unless).await;
    }
    for excluded in ["*", &new, &format!("\"x\", W/{new}")] {
        let unless = api.patch(&path).by(&admin).header(header::IF_NONE_MATCH, excluded);
        api.ask(412, unless.json(json!({"name": "D"}))).await;
    }
    let both = api.patch(&path).by(&admin).if_match(&format!("W/{new}")).header(header::IF_NONE_MATCH, &old);
    let new = api.ask(200, both.json(json!({"name": "C2"}))).await.etag();
    api.ask(412, api.patch(&path).by(&admin).if_match(&old).json(json!({"name": "D"}))).await;
    api.ask(412, api.delete(&path).by(&admin).if_match(&old)).await;
    let roles = json!({"roles": ["patient"]});
    api.ask(412, api.put(&format!("{path}/roles")).by(&admin).if_match(&old).json(roles.clone())).await;
    let tags = format!("{old}, \"a,b\",{new}");
    let newer = api.ask(200, api.put(&path).by(&admin).if_match(&tags).json(fields)).await.etag();
    api.ask(200, api.patch(&path).by(&admin).if_match("*").json(json!({"name": "E"}))).await;
    api.ask(412, api.delete(&path).by(&admin).if_match(&newer)).await;
    let roles = api.ask(200, api.put(&format!("{path}/roles")).by(&admin).json(roles)).await;
    api.ask(200, api.get(&format!("{path}/roles")).by(&admin)).await;
    let known = api.get(&format!("{path}/roles")).by(&admin).header(header::IF_NONE_MATCH, &roles.etag());
    api.ask(304, known).await;
    api.ask(204, api.delete(&path).by(&admin).if_match(&roles.etag())).await;
}

async fn strangers(api: &Everywhere) {
    let from = address_of(42);
    let (ada, bob) = (register(api, "Owner", from).await, register(api, "Stranger", from).await);
    let path = format!("/users/{}", ada.id);
    for below in ["", "/profile", "/roles", "/audit-log"] {
        let path = format!("{path}{below}");
        api.ask(200, api.get(&path).by(&ada)).await;
        api.ask(404, api.get(&path).by(&bob)).await;
        api.ask(401, api.get(&path)).await;
    }
    for id in
        ["x", "0190a1b2-0000-7000-8000-00000000000", "0190a1b2-0000-7000-8000-000000000001", "%20", "%C3%A4"]
    {
        let status = if id.ends_with("0001") { 404 } else { 400 };
        api.ask(status, api.get(&format!("/users/{id}")).by(&bob)).await;
        api.ask(status, api.delete(&format!("/users/{id}")).by(&bob)).await;
    }
    api.ask(404, api.patch(&path).by(&bob).json(json!({"name": "Mine"}))).await;
    api.ask(404, api.delete(&path).by(&bob)).await;
    api.ask(403, api.post("/users").by(&bob).json(json!({"email": "x@example.org", "name": "X"}))).await;
    for verb in ["disable", "enable", "unlock", "restore"] {
        api.ask(403, api.post(&format!("{path}/{verb}")).by(&bob)).await;
    }
    api.ask(200, api.patch(&path).by(&ada).json(json!({"name": "Still Owner"}))).await;
    api.ask(204, api.delete(&path).by(&ada)).await;
    api.ask(404, api.get(&path).by(&ada)).await;
    api.ask(401, api.get("/auth/me").by(&ada)).await;
}

async fn state_of_accounts(api: &Everywhere) {
    let from = address_of(43);
    let ada = register(api, "Disabled", from).await;
    let admin = sign_in_admin(api, from).await;
    let path = format!("/users/{}", ada.id);
    let disable = || api.post(&format!("{path}/disable")).by(&admin);
    api.ask(400, disable().json(json!({"reason": "x", "days": 3}))).await;
    api.ask(400, disable().json(json!([]))).await;
    api.ask(415, disable().body("reason=x")).await;
    api.ask(200, disable().json(json!({}))).await;
    api.ask(200, disable()).await;
    let login = |password: &str| {
        api.post("/auth/login").from(from).json(json!({"email": ada.email, "password": password}))
    };
    api.ask(403, login(switchyard_harness::app::PASSWORD)).await;
    api.ask(401, login("wrong")).await;
    let refresh = || api.post("/auth/refresh").from(from).json(json!({"refresh_token": ada.refresh_token}));
    api.ask(401, refresh()).await;
    api.ask(200, api.get("/users?status=disabled").by(&admin)).await;
    for _ in 0..2 {
        api.ask(200, api.post(&format!("{path}/enable")).by(&admin)).await;
    }
    api.ask(401, refresh()).await;
    sign_in(api, &ada.email, from).await;
    let own = format!("/users/{}", admin.id);
    api.ask(409, api.post(&format!("{own}/disable")).by(&admin)).await;
    api.ask(409, api.delete(&own).by(&admin)).await;
    api.ask(409, api.put(&format!("{own}/roles")).by(&admin).json(json!({"roles": ["customer"]}))).await;
}

/// What a user does shows in the tag of their state, and disturbs no edit of it.
async fn edits_and_log_ins(api: &Everywhere) {
    let from = address_of(45);
    let (admin, ada) = (sign_in_admin(api, from).await, register(api, "Busy", from).await);
    let path = format!("/users/{}", ada.id);
    let read = api.ask(200, api.get(&path).by(&admin)).await.etag();
    let roles = api.ask(200, api.get(&format!("{path}/roles")).by(&admin)).await.etag();
    let ada = sign_in(api, &ada.email, from).await;
    let seen = api.ask(200, api.get(&path).by(&admin).header(header::IF_NONE_MATCH, &read)).await.etag();
    api.ask(304, api.get(&format!("{path}/roles")).by(&admin).header(header::IF_NONE_MATCH, &roles)).await;
    api.ask(204, api.post("/auth/logout").by(&ada)).await;
    api.ask(304, api.get(&path).by(&admin).header(header::IF_NONE_MATCH, &seen)).await;
    for (etag, status) in [(&read, 200), (&read, 412), (&seen, 412)] {
        let edit = api.patch(&path).by(&admin).if_match(etag).json(json!({"name": "Busier"}));
        api.ask(status, edit).await;
    }
    let query = "/users?role=customer&sort=created_at&limit=5";
    api.ask(200, api.get(query).by(&admin)).await;
}

async fn counts(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(44)).await;
    api.ask(200, api.get("/users/stats").by(&admin)).await;
    api.ask(400, api.get("/users/stats?x=1").by(&admin)).await;
    api.ask(401, api.get("/users/stats?x=1")).await;
    api.wait(Duration::from_secs(8 * 24 * 60 * 60));
    let admin = sign_in_admin(api, address_of(44)).await;
    api.ask(200, api.get("/users/stats").by(&admin)).await;
}
