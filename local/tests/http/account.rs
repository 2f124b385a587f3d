//! Accounts, from registration to deletion.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use switchyard_api::{ApiSettings, RateLimit};
use switchyard_harness::app::{App, PASSWORD};
use switchyard_harness::store::Backend;

use crate::start_with;

crate::on_every_backend!(
    an_account_lives_from_registration_to_restoration,
    an_address_is_taken_in_any_case,
    a_guessable_password_is_refused_with_its_reason,
    an_unknown_address_and_a_wrong_password_get_the_same_answer,
    five_failures_lock_an_account_for_a_quarter_of_an_hour,
    only_the_right_password_reveals_that_a_user_is_disabled,
    a_password_change_ends_the_other_sessions,
    a_known_device_changes_the_password_while_the_account_is_locked,
    users_update_their_own_name_and_address,
);

const MINUTE: Duration = Duration::from_secs(60);

async fn an_account_lives_from_registration_to_restoration(app: App) {
    let admin = app.admin().await;
    let body = json!({"email": "Ada@Example.com", "password": PASSWORD, "name": "Ada Lovelace"});
    let registered = app.post("/auth/register").json(body).await;
    let answer = registered.expect(201);
    let user = &answer["user"];
    let id = user["id"].as_str().unwrap();
    assert_eq!(registered.header("location"), Some(format!("/api/v1/users/{id}").as_str()));
    assert_eq!(
        *user,
        json!({
            "id": id, "email": "Ada@Example.com", "name": "Ada Lovelace", "role": "customer", "roles": ["customer"],
            "status": "active", "email_verified": false, "mfa_enabled": false,
            "created_at": "2033-05-18T03:33:20.000Z", "updated_at": "2033-05-18T03:33:20.000Z",
            "last_login_at": "2033-05-18T03:33:20.000Z",
        })
    );
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(900)));

    app.wait(MINUTE);
    let credentials = json!({"email": "ada@example.COM", "password": PASSWORD});
    let signed_in = app.post("/auth/login").json(credentials.clone()).await.expect(200);
    assert_eq!(signed_in["user"]["last_login_at"], "2033-05-18T03:34:20.000Z");
    let token = signed_in["access_token"].as_str().unwrap();
    let me = app.get("/auth/me").bearer(token).await;
    assert_eq!(me.expect(200), signed_in["user"]);

    // The access token expires exactly after 15 minutes, and the refresh token yields a new one.
    app.wait(15 * MINUTE);
    assert_eq!(app.get("/auth/me").bearer(token).await.error(), (401, "TOKEN_EXPIRED".to_owned()));
    let refresh = json!({"refresh_token": signed_in["refresh_token"]});
    let refreshed = app.post("/auth/refresh").json(refresh).await.expect(200);
    let token = refreshed["access_token"].as_str().unwrap();
    assert_eq!(app.get("/auth/me").bearer(token).await.status, 200);

    // A deleted user is not found, but their address stays taken.
    let path = format!("/users/{id}");
    assert_eq!(app.delete(&path).bearer(token).await.status, 204);
    assert_eq!(app.get(&path).bearer(token).await.error(), (404, "NOT_FOUND".to_owned()));
    assert_eq!(app.get("/auth/me").bearer(token).await.error(), (401, "UNAUTHENTICATED".to_owned()));
    let refresh = json!({"refresh_token": refreshed["refresh_token"]});
    assert_eq!(
        app.post("/auth/refresh").json(refresh).await.error(),
        (401, "REFRESH_TOKEN_INVALID".to_owned())
    );
    let login = app.post("/auth/login").json(credentials.clone()).await;
    assert_eq!(login.error(), (401, "INVALID_CREDENTIALS".to_owned()));
    let again = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    assert_eq!(app.post("/auth/register").json(again).await.error(), (409, "EMAIL_TAKEN".to_owned()));

    // A restored user is unchanged.
    let admin = app.sign_in(&admin.email).await;
    let restored = app.post(&format!("{path}/restore")).by(&admin).await.expect(200);
    assert_eq!((&restored["email"], &restored["status"]), (&json!("Ada@Example.com"), &json!("active")));
    assert_eq!(app.post("/auth/login").json(credentials).await.status, 200);
}

async fn an_address_is_taken_in_any_case(app: App) {
    app.register("Ada").await;
    for email in ["ada@example.com", "ADA@EXAMPLE.COM", "aDa@eXample.com"] {
        let body = json!({"email": email, "password": PASSWORD, "name": "Ada"});
        let answer = app.post("/auth/register").json(body).await;
        assert_eq!(answer.error(), (409, "EMAIL_TAKEN".to_owned()), "{email}");
    }
}

async fn a_guessable_password_is_refused_with_its_reason(app: App) {
    for password in ["password1", "12345678", "aaaaaaaaaaaa", "adalovelace", "ada@example.com"] {
        let body = json!({"email": "ada@example.com", "password": password, "name": "Ada Lovelace"});
        let answer = app.post("/auth/register").json(body).await;
        assert_eq!(answer.error(), (400, "WEAK_PASSWORD".to_owned()), "{password}");
        assert!(answer.details()["password"].as_str().unwrap().starts_with("must "), "{answer:?}");
    }
}

async fn an_unknown_address_and_a_wrong_password_get_the_same_answer(app: App) {
    let ada = app.register("Ada").await;
    let attempt = async |email: &str| {
        let answer = app.post("/auth/login").json(json!({"email": email, "password": "wrong"})).await;
        let mut headers = answer.headers.clone();
        headers.remove("x-request-id");
        let mut body = answer.json();
        body["error"]["request_id"].take();
        (answer.status, headers, body)
    };
    for round in 0..6 {
        let (known, unknown) = (attempt(&ada.email).await, attempt("nobody@example.com").await);
        assert_eq!(known, unknown);
        assert_eq!(known.0, if round < 5 { 401 } else { 423 });
    }
}

async fn five_failures_lock_an_account_for_a_quarter_of_an_hour(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    let login = async |password| {
        app.post("/auth/login").json(json!({"email": ada.email, "password": password})).await
    };
    for _ in 0..5 {
        assert_eq!(login("wrong").await.error(), (401, "INVALID_CREDENTIALS".to_owned()));
    }
    let locked = login(PASSWORD).await;
    assert_eq!(locked.error(), (423, "ACCOUNT_LOCKED".to_owned()));
    assert_eq!(locked.header("retry-after"), Some("900"));
    let path = format!("/users/{}", ada.id);
    let shown = app.get(&path).by(&admin).await;
    assert_eq!(shown.expect(200)["status"], "locked");

    app.wait(15 * MINUTE);
    let admin = app.sign_in(&admin.email).await;
    let after = app.get(&path).by(&admin).await;
    assert_eq!(after.expect(200)["status"], "active");
    assert_ne!(after.etag(), shown.etag(), "the tag did not change with the resource");
    assert_eq!(login(PASSWORD).await.status, 200);

    // An admin can unlock a user at once.
    for _ in 0..5 {
        login("wrong").await;
    }
    assert_eq!(login(PASSWORD).await.status, 423);
    let unlocked = app.post(&format!("{path}/unlock")).by(&admin).await;
    assert_eq!(unlocked.expect(200)["status"], "active");
    assert_eq!(login(PASSWORD).await.status, 200);
}

async fn only_the_right_password_reveals_that_a_user_is_disabled(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    let path = format!("/users/{}", ada.id);
    assert_eq!(app.post(&format!("{path}/disable")).by(&admin).await.expect(200)["status"], "disabled");
    let login = async |password| {
        app.post("/auth/login").json(json!({"email": ada.email, "password": password})).await
    };
    assert_eq!(login(PASSWORD).await.error(), (403, "ACCOUNT_DISABLED".to_owned()));
    assert_eq!(login("wrong").await.error(), (401, "INVALID_CREDENTIALS".to_owned()));
    let refresh = app.post("/auth/refresh").json(json!({"refresh_token": ada.refresh_token})).await;
    assert_eq!(refresh.error(), (401, "REFRESH_TOKEN_INVALID".to_owned()));

    assert_eq!(app.post(&format!("{path}/enable")).by(&admin).await.expect(200)["status"], "active");
    assert_eq!(login(PASSWORD).await.status, 200);
    let refresh = app.post("/auth/refresh").json(json!({"refresh_token": ada.refresh_token})).await;
    assert_eq!(refresh.error(), (401, "REFRESH_TOKEN_INVALID".to_owned()), "old sessions stay ended");
}

async fn a_password_change_ends_the_other_sessions(app: App) {
    let ada = app.register("Ada").await;
    let elsewhere = app.sign_in(&ada.email).await;
    let change = async |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        app.post("/auth/password-change").by(&ada).json(body).await
    };
    assert_eq!(
        change("wrong", "another-passphrase-77").await.error(),
        (401, "INVALID_CREDENTIALS".to_owned())
    );
    let weak = change(PASSWORD, "password1").await;
    assert_eq!(weak.error(), (400, "WEAK_PASSWORD".to_owned()));
    assert!(weak.details()["new_password"].is_string());
    assert_eq!(change(PASSWORD, "another-passphrase-77").await.status, 204);

    let refresh =
        async |token: &str| app.post("/auth/refresh").json(json!({"refresh_token": token})).await.status;
    assert_eq!(refresh(&elsewhere.refresh_token).await, 401);
    assert_eq!(refresh(&ada.refresh_token).await, 200);
    let login = async |password| {
        app.post("/auth/login").json(json!({"email": ada.email, "password": password})).await.status
    };
    assert_eq!(login(PASSWORD).await, 401);
    assert_eq!(login("another-passphrase-77").await, 200);
}

async fn a_known_device_changes_the_password_while_the_account_is_locked(app: App) {
    let registration = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    let registered = app.post("/auth/register").json(registration).await.expect(201);
    for _ in 0..5 {
        let wrong = json!({"email": "ada@example.com", "password": "wrong"});
        assert_eq!(app.post("/auth/login").json(wrong).await.status, 401);
    }
    let change = |device_token: &Value| {
        let body = json!({
            "current_password": PASSWORD, "new_password": "another-passphrase-77", "device_token": device_token
        });
        app.post("/auth/password-change").bearer(registered["access_token"].as_str().unwrap()).json(body)
    };
    let token = &registered["device_token"];
    assert_eq!(change(&Value::Null).await.error(), (423, "ACCOUNT_LOCKED".to_owned()));
    assert_eq!(change(token).await.status, 204);
    // The new password ends the token, and the session that continues gets another one.
    let log_in = |token: &Value| {
        let body =
            json!({"email": "ada@example.com", "password": "another-passphrase-77", "device_token": token});
        app.post("/auth/login").json(body)
    };
    assert_eq!(log_in(token).await.error(), (423, "ACCOUNT_LOCKED".to_owned()));
    let refresh = json!({"refresh_token": registered["refresh_token"]});
    let refreshed = app.post("/auth/refresh").json(refresh).await.expect(200);
    assert_eq!(log_in(&refreshed["device_token"]).await.status, 200);
}

async fn users_update_their_own_name_and_address(app: App) {
    let (ada, grace) = (app.register("Ada").await, app.register("Grace").await);
    let me = app.get("/auth/me").by(&ada).await;
    app.wait(MINUTE);
    let renamed = app.patch("/auth/me").by(&ada).if_match(&me.etag()).json(json!({"name": "Ada King"})).await;
    let user = renamed.expect(200);
    assert_eq!((&user["name"], &user["email"]), (&json!("Ada King"), &json!("ada@example.com")));
    assert_eq!(user["updated_at"], "2033-05-18T03:34:20.000Z");
    assert_ne!(renamed.etag(), me.etag());

    let stale = app.patch("/auth/me").by(&ada).if_match(&me.etag()).json(json!({"name": "Ada"})).await;
    assert_eq!(stale.error(), (412, "PRECONDITION_FAILED".to_owned()));
    let taken = app.patch("/auth/me").by(&ada).json(json!({"email": grace.email.to_uppercase()})).await;
    assert_eq!(taken.error(), (409, "EMAIL_TAKEN".to_owned()));
    app.wait(5 * MINUTE);
    let late = app.patch("/auth/me").by(&ada).json(json!({"email": "king@example.com"})).await;
    assert_eq!(late.error(), (403, "STEP_UP_REQUIRED".to_owned()));
    let ada = app.sign_in(&ada.email).await;
    let moved = app.patch("/auth/me").by(&ada).json(json!({"email": "king@example.com"})).await;
    assert_eq!(moved.expect(200)["email"], "king@example.com");
    let login = json!({"email": "king@example.com", "password": PASSWORD});
    assert_eq!(app.post("/auth/login").json(login).await.status, 200);
    let register = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    assert_eq!(app.post("/auth/register").json(register).await.status, 201, "the old address is free");
}

#[tokio::test]
async fn guesses_from_one_address_are_limited_and_those_from_another_are_not() {
    let settings = ApiSettings { rate_limit: RateLimit::per_minutes(3, 15), ..ApiSettings::default() };
    let app = start_with(Backend::Sqlite, settings).await;
    let (here, there) = (IpAddr::from([203, 0, 113, 1]), IpAddr::from([203, 0, 113, 2]));
    let attempt = async |n: u32, from| {
        let body = json!({"email": format!("user{n}@example.com"), "password": "wrong"});
        app.post("/auth/login").from(from).json(body).await
    };
    for n in 0..3 {
        assert_eq!(attempt(n, here).await.status, 401);
    }
    let limited = attempt(3, here).await;
    assert_eq!(limited.error(), (429, "RATE_LIMITED".to_owned()));
    assert!(limited.header("retry-after").is_some());
    assert_eq!(attempt(4, there).await.status, 401);
    app.wait(15 * MINUTE);
    assert_eq!(attempt(5, here).await.status, 401);
}
