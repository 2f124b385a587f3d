//! Tests the answers of the routes to valid, invalid and repeated requests.

use serde_json::{Value, json};
use switchyard_harness::app::App;
use switchyard_harness::store::Backend;

async fn start() -> App {
    App::start(Backend::Sqlite, |_, identity| switchyard_fn_users::router(identity.clone())).await
}

#[tokio::test]
async fn all_faults_of_a_query_string_are_reported_at_once() {
    let app = start().await;
    let admin = app.admin().await;
    let query =
        "limit=0&role=No&status=gone&created_from=soon&created_to=2033&sort=name&include_deleted=yes&page=2";
    let answer = app.get(&format!("/users?{query}&q=a+b+c+d+e+f+g+h+i+j+k+l+m+n+o+p+q")).by(&admin).await;
    assert_eq!(answer.error(), (400, "VALIDATION_ERROR".to_owned()));
    let time = "must be a date and time as in 2026-03-01T08:30:00Z (RFC 3339)";
    assert_eq!(
        answer.details(),
        json!({
            "created_from": time,
            "created_to": time,
            "include_deleted": "must be true or false",
            "limit": "must be from 1 to 100",
            "page": "is not a known parameter",
            "q": "must have at most 100 characters and 16 different words",
            "role": "must be 1 to 40 of a-z, 0-9 and -, a letter first",
            "sort": "must be one of: -created_at, created_at",
            "status": "must be one of: active, disabled, locked",
        })
    );
    let period = |from: &str, to: &str| format!("{from}=2033-05-18T03:33:23Z&{to}=2033-05-18T03:33:22.999Z");
    let answer = app.get(&format!("/users?{}", period("created_from", "created_to"))).by(&admin).await;
    assert_eq!(answer.details(), json!({"created_to": "must not be before `created_from`"}));
    let answer = app.get(&format!("/audit-logs?{}", period("from", "to"))).by(&admin).await;
    assert_eq!(answer.details(), json!({"to": "must not be before `from`"}));
    let answer = app.get("/audit-logs?actor=&from=x&to=y&subject=a&subject=b").by(&admin).await;
    assert_eq!(
        answer.details(),
        json!({
            "actor": "must be a user's id, `system` or `anonymous`", "from": time, "subject": "must be given once", "to": time,
        })
    );
}

#[tokio::test]
async fn every_list_has_bounds_and_refuses_invalid_cursors() {
    let app = start().await;
    let admin = app.admin().await;
    let audit_log = format!("/users/{}/audit-log", admin.id);
    for list in ["/users", "/roles", "/permissions", "/audit-logs", &audit_log] {
        let page = app.get(&format!("{list}?limit=1")).by(&admin).await.expect(200);
        assert_eq!(page["data"].as_array().unwrap().len(), 1, "{list}");
        assert_eq!(page["pagination"]["limit"], 1, "{list}");
        for (query, field) in
            [("limit=101", "limit"), ("limit=-1", "limit"), ("cursor=x", "cursor"), ("x=1", "x")]
        {
            let answer = app.get(&format!("{list}?{query}")).by(&admin).await;
            assert_eq!(answer.error(), (400, "VALIDATION_ERROR".to_owned()), "{list}?{query}");
            assert!(answer.details()[field].is_string(), "{list}?{query}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn the_permissions_are_listed_page_by_page() {
    let app = start().await;
    let admin = app.admin().await;
    let all = app.get("/permissions?limit=100").by(&admin).await.expect(200);
    assert_eq!(all["pagination"], json!({"limit": 100, "next_cursor": null, "has_more": false}));
    let mut walked = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("/permissions?limit=2{cursor}")).by(&admin).await.expect(200);
        walked.extend(page["data"].as_array().unwrap().clone());
        let Some(next) = page["pagination"]["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(Value::Array(walked), all["data"]);
}

#[tokio::test]
async fn a_malformed_path_parameter_is_a_fault_and_an_unknown_one_is_not_found() {
    let app = start().await;
    let admin = app.admin().await;
    let answer = app.get("/users/7").by(&admin).await;
    assert_eq!((answer.error().0, answer.details()), (400, json!({"id": "must be a UUID"})));
    let answer = app.get("/roles/No%20Such").by(&admin).await;
    assert_eq!(answer.details(), json!({"name": "must be 1 to 40 of a-z, 0-9 and -, a letter first"}));
    let nobody = "0190a1b2-0000-7000-8000-000000000001";
    for path in [format!("/users/{nobody}"), format!("/users/{nobody}/profile"), "/roles/no-such".to_owned()]
    {
        assert_eq!(app.get(&path).by(&admin).await.error(), (404, "NOT_FOUND".to_owned()), "{path}");
    }
    let shouted = admin.id.to_string().to_uppercase();
    assert_eq!(app.get(&format!("/users/{shouted}")).by(&admin).await.expect(200)["id"], json!(admin.id));
}

#[tokio::test]
async fn all_faults_of_a_body_are_reported_at_once() {
    let app = start().await;
    let admin = app.admin().await;
    let body =
        json!({"email": "x", "name": "a\u{7}", "roles": ["customer", "customer"], "password": "secret"});
    let answer = app.post("/users").by(&admin).json(body).await;
    assert_eq!(
        answer.details(),
        json!({
            "email": "must be an e-mail address",
            "name": "must not contain line breaks, other control characters, or characters that change the direction of text",
            "password": "is not a known field", "roles": "must name 1 to 20 different roles",
        })
    );
    let answer = app
        .post("/users")
        .by(&admin)
        .json(json!({"email": "x@y.example", "name": "X", "roles": ["No", 1]}))
        .await;
    assert_eq!(
        answer.details(),
        json!({"roles[0]": "must be 1 to 40 of a-z, 0-9 and -, a letter first", "roles[1]": "must be a string"})
    );
    let body = json!({"name": "2nd", "description": "x".repeat(201), "permissions": ["users", 7]});
    let answer = app.post("/roles").by(&admin).json(body).await;
    assert_eq!(
        answer.details(),
        json!({
            "description": "must have at most 200 characters",
            "name": "must be 1 to 40 of a-z, 0-9 and -, a letter first",
            "permissions[0]": "must be the name of a permission, as in users:read",
            "permissions[1]": "must be a string",
        })
    );
    // Whether a permission is declared is checked only after the body was read.
    let body = json!({"name": "support", "permissions": ["users:read", "users:rule"]});
    let answer = app.post("/roles").by(&admin).json(body).await;
    let unknown = json!({"permissions[1]": "must be the name of a permission, as in users:read"});
    assert_eq!((answer.error(), answer.details()), ((400, "VALIDATION_ERROR".to_owned()), unknown));
    let path = format!("/users/{}/profile", admin.id);
    let body = json!({
        "phone": "1", "date_of_birth": "31.12.1990", "avatar_url": "x", "bio": "\u{7}", "locale": "en_GB",
        "timezone": "Mars/Olympus", "address": {"line1": "", "line2": "\u{3164}", "city": "\u{202e}nodnoL", "country": "ZZ"},
    });
    let answer = app.put(&path).by(&admin).json(body).await;
    assert_eq!(
        answer.details(),
        json!({
            "address.city": "must not contain line breaks, other control characters, or characters that change the direction of text",
            "address.country": "must be a country code of two letters as in DE (ISO 3166-1)",
            "address.line1": "must have 1 to 200 characters",
            "address.line2": "must have a visible character",
            "avatar_url": "must be a web address that begins with https:// or http://, of at most 2000 characters",
            "bio": "must have at most 1000 characters, and no control characters but line breaks",
            "date_of_birth": "must be a date as in 1990-12-31, from 1900-01-01 on",
            "locale": "must be a language tag of at most 100 characters as in en or pt-BR (BCP 47)",
            "phone": "must be a telephone number as in +4915112345678 (E.164)",
            "timezone": "must be a time zone as in Europe/Berlin (IANA)",
        })
    );
}

#[tokio::test]
async fn a_put_replaces_and_requires_all_required_fields() {
    let app = start().await;
    let ada = app.register("Ada").await;
    let path = format!("/users/{}", ada.id);
    let answer = app.put(&path).by(&ada).json(json!({"name": "Ada King"})).await;
    assert_eq!(answer.details(), json!({"email": "is required"}));
    let profile = format!("{path}/profile");
    app.put(&profile).by(&ada).json(json!({"bio": "x", "locale": "en"})).await.expect(200);
    let replaced = app.put(&profile).by(&ada).json(json!({"locale": "de"})).await.expect(200);
    assert_eq!((&replaced["bio"], &replaced["locale"]), (&json!(null), &json!("de")));
}

#[tokio::test]
async fn an_admin_creates_one_account_per_idempotency_key() {
    let app = start().await;
    let admin = app.admin().await;
    let create = || {
        let body = json!({"email": "grace@example.com", "name": "Grace"});
        app.post("/users").by(&admin).once("invite-grace").json(body)
    };
    let (first, again) = (create().await, create().await);
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.etag(), first.etag());
    // The same key from another caller is a different key.
    let ada = app.register("Ada").await;
    let answer = app
        .post("/users")
        .by(&ada)
        .once("invite-grace")
        .json(json!({"email": "a@b.example", "name": "A"}))
        .await;
    assert_eq!(answer.error(), (403, "FORBIDDEN".to_owned()));
}

#[tokio::test]
async fn an_unchanged_resource_is_not_sent_again() {
    let app = start().await;
    let admin = app.admin().await;
    let user = format!("/users/{}", admin.id);
    for path in
        [user.clone(), format!("{user}/profile"), format!("{user}/roles"), "/roles/merchant".to_owned()]
    {
        let etag = app.get(&path).by(&admin).await.etag();
        let again = app.get(&path).by(&admin).header(axum::http::header::IF_NONE_MATCH, &etag).await;
        assert_eq!((again.status, again.etag(), again.body.len()), (304, etag, 0), "{path}");
    }
}
