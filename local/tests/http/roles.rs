//! Roles, their permissions, and the roles of users.

use std::time::Duration;

use serde_json::json;
use switchyard_harness::app::App;

crate::on_every_backend!(
    a_role_is_created_updated_granted_revoked_and_deleted,
    built_in_roles_are_protected,
    granting_roles_requires_a_step_up,
    users_cannot_grant_more_than_they_have,
    the_last_admin_cannot_be_removed,
);

async fn a_role_is_created_updated_granted_revoked_and_deleted(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    let role = json!({"name": "support", "description": "Answers letters.", "permissions": ["users:read"]});
    let created = app.post("/roles").by(&admin).json(role.clone()).await;
    assert_eq!(created.header("location"), Some("/api/v1/roles/support"));
    assert_eq!(
        created.expect(201),
        json!({
            "name": "support", "description": "Answers letters.", "permissions": ["users:read"], "built_in": false,
            "created_at": "2033-05-18T03:33:20.000Z", "updated_at": "2033-05-18T03:33:20.000Z",
        })
    );
    assert_eq!(app.post("/roles").by(&admin).json(role).await.error(), (409, "ROLE_TAKEN".to_owned()));

    // A granted role takes effect with the next access token.
    let roles_path = format!("/users/{}/roles", ada.id);
    let roles = app.get(&roles_path).by(&admin).await;
    assert_eq!(roles.expect(200), json!({"roles": ["customer"]}));
    let given = json!({"roles": ["support", "customer"]});
    let replaced = app.put(&roles_path).by(&admin).if_match(&roles.etag()).json(given.clone()).await;
    assert_eq!(replaced.expect(200), given);
    assert_eq!(app.put(&roles_path).by(&admin).if_match(&roles.etag()).json(given).await.status, 412);
    assert_eq!(app.get("/users").by(&ada).await.status, 403);
    let ada = app.sign_in(&ada.email).await;
    assert_eq!(app.get("/users").by(&ada).await.status, 200);

    // A change of the role takes effect within 30 seconds.
    let patch = json!({"permissions": ["audit:read"]});
    let changed = app.patch("/roles/support").by(&admin).if_match(&created.etag()).json(patch).await;
    assert_eq!(changed.expect(200)["permissions"], json!(["audit:read"]));
    app.wait(Duration::from_secs(30));
    assert_eq!(app.get("/users").by(&ada).await.status, 403);
    assert_eq!(app.get("/audit-logs").by(&ada).await.status, 200);

    assert_eq!(app.delete("/roles/support").by(&admin).await.error(), (409, "ROLE_IN_USE".to_owned()));
    let unknown = app.put(&roles_path).by(&admin).json(json!({"roles": ["customer", "no-such"]})).await;
    assert_eq!(unknown.error(), (400, "VALIDATION_ERROR".to_owned()));
    assert_eq!(unknown.details(), json!({"roles": "there is no such role: no-such"}));
    assert_eq!(app.put(&roles_path).by(&admin).json(json!({"roles": ["customer"]})).await.status, 200);
    let stale = app.delete("/roles/support").by(&admin).if_match(&created.etag()).await;
    assert_eq!(stale.error(), (412, "PRECONDITION_FAILED".to_owned()));
    assert_eq!(app.delete("/roles/support").by(&admin).await.status, 204);
    assert_eq!(app.get("/roles/support").by(&admin).await.status, 404);
}

async fn built_in_roles_are_protected(app: App) {
    let admin = app.admin().await;
    let names = app.get("/roles").by(&admin).await.expect(200);
    let names: Vec<_> = names["data"].as_array().unwrap().iter().map(|role| role["name"].clone()).collect();
    assert_eq!(names, ["admin", "customer", "doctor", "finance", "fulfilment", "merchant", "patient"]);
    for name in ["admin", "customer"] {
        let answer = app.delete(&format!("/roles/{name}")).by(&admin).await;
        assert_eq!(answer.error(), (409, "ROLE_PROTECTED".to_owned()));
    }
    let patch = json!({"permissions": []});
    let answer = app.patch("/roles/admin").by(&admin).json(patch).await;
    assert_eq!(answer.error(), (409, "ROLE_PROTECTED".to_owned()));
    let patch = json!({"description": "Sells things.", "permissions": ["products:write", "users:read"]});
    assert_eq!(app.patch("/roles/merchant").by(&admin).json(patch).await.expect(200)["built_in"], true);
}

async fn granting_roles_requires_a_step_up(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    app.wait(Duration::from_secs(5 * 60 + 1));
    let path = format!("/users/{}/roles", ada.id);
    let answer = app.put(&path).by(&admin).json(json!({"roles": ["merchant"]})).await;
    assert_eq!(answer.error(), (403, "STEP_UP_REQUIRED".to_owned()));
    let admin = app.sign_in(&admin.email).await;
    assert_eq!(app.put(&path).by(&admin).json(json!({"roles": ["merchant"]})).await.status, 200);
}

async fn users_cannot_grant_more_than_they_have(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    let role = json!({"name": "role-keeper", "permissions": ["users:read", "roles:read", "roles:write"]});
    app.post("/roles").by(&admin).json(role).await.expect(201);
    let path = format!("/users/{}/roles", ada.id);
    app.put(&path).by(&admin).json(json!({"roles": ["role-keeper"]})).await.expect(200);
    let ada = app.sign_in(&ada.email).await;
    let forbidden = [
        app.put(&path).by(&ada).json(json!({"roles": ["role-keeper", "admin"]})).await,
        app.post("/roles").by(&ada).json(json!({"name": "root", "permissions": ["audit:read"]})).await,
        app.patch("/roles/role-keeper").by(&ada).json(json!({"permissions": ["audit:read"]})).await,
        app.delete("/roles/merchant").by(&ada).await,
    ];
    let codes: Vec<_> = forbidden.iter().map(|answer| answer.error().1).collect();
    assert_eq!(codes, ["FORBIDDEN", "FORBIDDEN", "FORBIDDEN", "ROLE_PROTECTED"]);
    let equal = json!({"name": "reader", "permissions": ["users:read"]});
    assert_eq!(app.post("/roles").by(&ada).json(equal).await.status, 201);
}

async fn the_last_admin_cannot_be_removed(app: App) {
    let admin = app.admin().await;
    let path = format!("/users/{}", admin.id);
    let refused = [
        app.put(&format!("{path}/roles")).by(&admin).json(json!({"roles": ["customer"]})).await,
        app.post(&format!("{path}/disable")).by(&admin).await,
        app.delete(&path).by(&admin).await,
    ];
    for answer in refused {
        assert_eq!(answer.error(), (409, "LAST_ADMIN".to_owned()));
    }
    let ada = app.register("Ada").await;
    app.put(&format!("/users/{}/roles", ada.id))
        .by(&admin)
        .json(json!({"roles": ["admin"]}))
        .await
        .expect(200);
    assert_eq!(app.delete(&path).by(&admin).await.status, 204);
}
