//! Users, as admins manage them.

use std::time::Duration;

use serde_json::json;
use switchyard_harness::app::App;

crate::on_every_backend!(
    an_admin_creates_updates_and_deletes_a_user,
    a_conditional_change_requires_the_version_that_was_read,
    an_unchanged_user_is_not_sent_again,
    a_log_in_disturbs_no_edit_and_outdates_copies,
    acting_on_a_user_requires_all_their_permissions,
    users_are_counted_by_state_role_and_day,
    a_deleted_user_is_listed_only_with_include_deleted,
);

async fn an_admin_creates_updates_and_deletes_a_user(app: App) {
    let admin = app.admin().await;
    let body = json!({"email": "grace@example.com", "name": "Grace", "roles": ["merchant", "customer"]});
    let created = app.post("/users").by(&admin).json(body.clone()).await;
    let user = created.expect(201);
    assert_eq!((&user["role"], &user["roles"]), (&json!("merchant"), &json!(["merchant", "customer"])));
    assert_eq!(user["last_login_at"], json!(null));
    let path = format!("/users/{}", user["id"].as_str().unwrap());
    assert_eq!(created.header("location"), Some(format!("/api/v1{path}").as_str()));
    let read = app.get(&path).by(&admin).await;
    assert_eq!((read.expect(200), read.etag()), (user, created.etag()));
    assert_eq!(app.post("/users").by(&admin).json(body).await.error(), (409, "EMAIL_TAKEN".to_owned()));

    let fields = json!({"email": "hopper@example.com", "name": "Grace Hopper"});
    let replaced = app.put(&path).by(&admin).json(fields).await.expect(200);
    assert_eq!(
        (&replaced["email"], &replaced["name"]),
        (&json!("hopper@example.com"), &json!("Grace Hopper"))
    );
    let patched = app.patch(&path).by(&admin).json(json!({"name": "Grace B. Hopper"})).await.expect(200);
    assert_eq!(
        (&patched["email"], &patched["name"]),
        (&json!("hopper@example.com"), &json!("Grace B. Hopper"))
    );

    assert_eq!(app.delete(&path).by(&admin).await.status, 204);
    assert_eq!(app.get(&path).by(&admin).await.status, 404);
    assert_eq!(app.delete(&path).by(&admin).await.status, 404);
    assert_eq!(app.post(&format!("{path}/restore")).by(&admin).await.expect(200)["name"], "Grace B. Hopper");
    assert_eq!(app.get(&path).by(&admin).await.status, 200);
}

async fn a_conditional_change_requires_the_version_that_was_read(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    let path = format!("/users/{}", ada.id);
    let read = app.get(&path).by(&admin).await.etag();
    let changed = app.patch(&path).by(&admin).if_match(&read).json(json!({"name": "A"})).await.etag();
    let fields = json!({"email": "ada@example.com", "name": "B"});
    let stale = [
        app.put(&path).by(&admin).if_match(&read).json(fields).await,
        app.patch(&path).by(&admin).if_match(&read).json(json!({"name": "B"})).await,
        app.delete(&path).by(&admin).if_match(&read).await,
    ];
    for answer in stale {
        assert_eq!(answer.error(), (412, "PRECONDITION_FAILED".to_owned()));
    }
    assert_eq!(app.get(&path).by(&admin).await.etag(), changed, "nothing was written");
    assert_eq!(app.delete(&path).by(&admin).if_match(&changed).await.status, 204);
}

async fn an_unchanged_user_is_not_sent_again(app: App) {
    let ada = app.register("Ada").await;
    let path = format!("/users/{}", ada.id);
    let etag = app.get(&path).by(&ada).await.etag();
    let get = async || app.get(&path).by(&ada).header(axum::http::header::IF_NONE_MATCH, &etag).await;
    let unchanged = get().await;
    assert_eq!((unchanged.status, unchanged.body.len(), unchanged.etag()), (304, 0, etag.clone()));
    app.patch(&path).by(&ada).json(json!({"name": "Ada King"})).await;
    assert_eq!(get().await.expect(200)["name"], "Ada King");
}

async fn a_log_in_disturbs_no_edit_and_outdates_copies(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    let path = format!("/users/{}", ada.id);
    let get = async |path: &str, etag: &str| {
        app.get(path).by(&admin).header(axum::http::header::IF_NONE_MATCH, etag).await
    };
    let (read, roles) =
        (app.get(&path).by(&admin).await.etag(), app.get(&format!("{path}/roles")).by(&admin).await.etag());
    app.wait(Duration::from_secs(1));
    let ada = app.sign_in(&ada.email).await;
    let seen = get(&path, &read).await;
    assert_eq!(seen.expect(200)["last_login_at"], "2033-05-18T03:33:21.000Z");
    assert_eq!(get(&path, &seen.etag()).await.status, 304);
    assert_eq!(get(&format!("{path}/roles"), &roles).await.status, 304, "the roles do not show it");
    assert_eq!(app.post("/auth/logout").by(&ada).await.status, 204);
    assert_eq!(get(&path, &seen.etag()).await.status, 304, "a log-out is not shown");

    let edit = |etag: &str| app.patch(&path).by(&admin).if_match(etag).json(json!({"name": "Ada King"}));
    assert_eq!(edit(&read).await.expect(200)["name"], "Ada King");
    for stale in [&read, &seen.etag()] {
        assert_eq!(edit(stale).await.error(), (412, "PRECONDITION_FAILED".to_owned()));
    }
}

async fn acting_on_a_user_requires_all_their_permissions(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    let role = json!({"name": "support", "permissions": ["users:read", "users:write"]});
    assert_eq!(app.post("/roles").by(&admin).json(role).await.status, 201);
    let roles = json!({"roles": ["support"]});
    assert_eq!(app.put(&format!("/users/{}/roles", ada.id)).by(&admin).json(roles).await.status, 200);
    let (ada, grace) = (app.sign_in(&ada.email).await, app.register("Grace").await);

    let rename = json!({"name": "X"});
    assert_eq!(app.patch(&format!("/users/{}", grace.id)).by(&ada).json(rename.clone()).await.status, 200);
    // Someone who can change an admin's address could take over the account.
    let path = format!("/users/{}", admin.id);
    assert_eq!(app.get(&path).by(&ada).await.status, 200);
    let refused = [
        app.patch(&path).by(&ada).json(rename).await,
        app.delete(&path).by(&ada).await,
        app.post(&format!("{path}/disable")).by(&ada).await,
        app.patch(&format!("{path}/profile")).by(&ada).json(json!({"bio": "x"})).await,
    ];
    for answer in refused {
        assert_eq!(answer.error(), (403, "FORBIDDEN".to_owned()));
    }
}

async fn users_are_counted_by_state_role_and_day(app: App) {
    let ada = app.register("Ada").await;
    app.wait(Duration::from_secs(10 * 24 * 60 * 60));
    let admin = app.admin().await;
    let grace = app.register("Grace").await;
    app.register("Linus").await;
    app.post(&format!("/users/{}/disable", grace.id)).by(&admin).await.expect(200);
    for _ in 0..5 {
        app.post("/auth/login").json(json!({"email": ada.email, "password": "wrong"})).await;
    }
    let stats = app.get("/users/stats").by(&admin).await.expect(200);
    assert_eq!(
        stats,
        json!({
            "total": 4, "active": 2, "disabled": 1, "locked": 1, "by_role": {"admin": 1, "customer": 4},
            "registered_last_7_days": 3, "registered_last_30_days": 4,
        })
    );
    assert_eq!(app.delete(&format!("/users/{}", grace.id)).by(&admin).await.status, 204);
    let stats = app.get("/users/stats").by(&admin).await.expect(200);
    assert_eq!((&stats["total"], &stats["disabled"]), (&json!(3), &json!(0)));
}

async fn a_deleted_user_is_listed_only_with_include_deleted(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    assert_eq!(app.delete(&format!("/users/{}", ada.id)).by(&admin).await.status, 204);
    let names = async |query: &str| -> Vec<String> {
        let page = app.get(&format!("/users?{query}")).by(&admin).await.expect(200);
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("").await, ["Administrator"]);
    assert_eq!(names("q=ada").await, Vec::<String>::new());
    assert_eq!(names("include_deleted=true&sort=created_at").await.len(), 2);
    assert_eq!(names("include_deleted=true&q=ada").await, ["Ada"]);
    assert_eq!(names("include_deleted=true&role=customer&q=ada").await, ["Ada"]);
}
