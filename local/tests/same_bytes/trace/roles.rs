//! Roles, their permissions, and the roles of users.

use std::time::Duration;

use axum::http::header;
use serde_json::json;

use super::lists::walk;
use super::{address_of, register, sign_in, sign_in_admin};
use crate::everywhere::Everywhere;

pub(super) async fn replay(api: &Everywhere) {
    roles_themselves(api).await;
    roles_of_users(api).await;
    walks(api).await;
}

async fn roles_themselves(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(60)).await;
    let support = json!({"name": "support", "description": "Answers letters.", "permissions": ["users:write", "users:read"]});
    let created = api.ask(201, api.post("/roles").by(&admin).json(support.clone())).await.etag();
    api.ask(409, api.post("/roles").by(&admin).json(support)).await;
    api.ask(304, api.get("/roles/support").by(&admin).header(header::IF_NONE_MATCH, &created)).await;
    for body in [
        json!({"name": "Support", "permissions": []}),
        json!({"name": "x".repeat(70), "permissions": []}),
        json!({"name": "empty"}),
        json!({"name": "odd", "permissions": ["users:read", "everything"]}),
        json!({"name": "odd", "permissions": ["users:read", "users:read"], "description": "x".repeat(201)}),
        json!({"name": "odd", "permissions": "users:read"}),
    ] {
        api.ask(400, api.post("/roles").by(&admin).json(body)).await;
    }
    let patch = json!({"permissions": ["users:read", "roles:read"], "description": "Reads letters. ✉"});
    let patched =
        api.ask(200, api.patch("/roles/support").by(&admin).if_match(&created).json(patch)).await.etag();
    api.ask(412, api.patch("/roles/support").by(&admin).if_match(&created).json(json!({"permissions": []})))
        .await;
    api.ask(400, api.patch("/roles/support").by(&admin).json(json!({"name": "other"}))).await;
    api.ask(200, api.get("/roles/support").by(&admin)).await;
    for name in ["admin", "customer"] {
        api.ask(409, api.delete(&format!("/roles/{name}")).by(&admin)).await;
    }
    api.ask(409, api.patch("/roles/admin").by(&admin).json(json!({"permissions": []}))).await;
    api.ask(404, api.get("/roles/nobody").by(&admin)).await;
    api.ask(404, api.delete("/roles/nobody").by(&admin)).await;
    for name in ["Not%20a%20role", "%C3%A4", "-"] {
        api.ask(400, api.get(&format!("/roles/{name}")).by(&admin)).await;
    }
    api.ask(412, api.delete("/roles/support").by(&admin).if_match(&created)).await;
    api.ask(204, api.delete("/roles/support").by(&admin).if_match(&patched)).await;
    api.ask(404, api.get("/roles/support").by(&admin)).await;
}

async fn roles_of_users(api: &Everywhere) {
    let from = address_of(61);
    let (admin, ada) = (sign_in_admin(api, from).await, register(api, "Keeper", from).await);
    let keeper = json!({"name": "role-keeper", "permissions": ["users:read", "roles:read", "roles:write"]});
    api.ask(201, api.post("/roles").by(&admin).json(keeper)).await;
    let path = format!("/users/{}/roles", ada.id);
    let given = api.put(&path).by(&admin).json(json!({"roles": ["role-keeper", "customer"]}));
    api.ask(200, given).await;
    for roles in [
        json!([]),
        json!(["nobody"]),
        json!(["customer", "customer"]),
        json!(["Customer"]),
        json!("customer"),
    ] {
        api.ask(400, api.put(&path).by(&admin).json(json!({"roles": roles}))).await;
    }
    api.ask(409, api.delete("/roles/role-keeper").by(&admin)).await;
    let ada = sign_in(api, &ada.email, from).await;
    api.ask(403, api.put(&path).by(&ada).json(json!({"roles": ["role-keeper", "admin"]}))).await;
    api.ask(403, api.post("/roles").by(&ada).json(json!({"name": "root", "permissions": ["audit:read"]})))
        .await;
    api.ask(403, api.patch("/roles/role-keeper").by(&ada).json(json!({"permissions": ["audit:read"]}))).await;
    api.ask(403, api.get("/audit-logs").by(&ada)).await;
    api.ask(200, api.get("/users?role=role-keeper").by(&ada)).await;
    // A change of a role's permissions takes effect at once.
    let patch = json!({"permissions": ["roles:read"]});
    api.ask(200, api.patch("/roles/role-keeper").by(&admin).json(patch)).await;
    api.ask(403, api.get("/users?role=role-keeper").by(&ada)).await;
    api.ask(200, api.get("/roles/role-keeper").by(&ada)).await;
    api.wait(Duration::from_secs(5 * 60));
    api.ask(403, api.put(&path).by(&admin).json(json!({"roles": ["customer"]}))).await; // the sign-in is too old for a step-up
    let admin = sign_in_admin(api, from).await;
    api.ask(200, api.put(&path).by(&admin).json(json!({"roles": ["customer"]}))).await;
    api.ask(204, api.delete("/roles/role-keeper").by(&admin)).await;
}

async fn walks(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(62)).await;
    walk(api, &admin, "/roles", "limit=3").await;
    walk(api, &admin, "/permissions", "limit=4").await;
}
