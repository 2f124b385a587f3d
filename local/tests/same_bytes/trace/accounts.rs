//! Registering, signing in, guessing passwords, the caller's own account.

use std::time::Duration;

use axum::http::header;
use serde_json::{Value, json};
use switchyard_harness::app::PASSWORD;

use super::{address_of, person, register, sign_in, sign_in_admin};
use crate::everywhere::Everywhere;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) async fn replay(api: &Everywhere) {
    registrations(api).await;
    weak_passwords(api).await;
    guesses(api).await;
    devices(api).await;
    own_account(api).await;
    changes_of_password(api).await;
}

async fn registrations(api: &Everywhere) {
    let from = address_of(10);
    let people = [
        ("Ada@Example.org", "Ada Lovelace", None),
        ("zoë@example.org", "Zoë 山田 👩‍💻", Some("Zoë's telephone")),
        ("o'hara+tag@example.co.uk", "Ó Hará, \"Jr.\" <\\>", None),
        ("browser@example.org", "محمد العلي", Some("web")),
        ("combining@example.org", "Ame\u{301}lie", Some("")),
        ("b@exämple.org", "Sinéad O’Connor", Some("علی\u{200c}رضا")),
    ];
    for (email, name, device) in people {
        let body = json!({"email": email, "password": PASSWORD, "name": name, "device_name": device});
        let status = if device == Some("") { 400 } else { 201 };
        api.ask(status, api.post("/auth/register").from(from).json(body)).await;
    }
    for email in [
        "ada@example.org",
        "ADA@EXAMPLE.ORG",
        "ZOË@example.org",
        "zoe\u{308}@example.org",
        "b@xn--exmple-cua.org",
        "Ｂ＠EXÄMPLE.org",
    ] {
        let body = json!({"email": email, "password": PASSWORD, "name": "Somebody"});
        api.ask(409, api.post("/auth/register").from(from).json(body)).await;
    }
    for email in [
        "a\u{200b}b@example.org",
        "a@exam\u{ad}ple.org",
        "\u{202e}a@example.org",
        "a@xn--b.org",
        "a\u{378}@b.org",
    ] {
        let body =
            json!({"email": email, "password": PASSWORD, "name": "\u{3164}", "device_name": "\u{202e}x"});
        api.ask(400, api.post("/auth/register").from(from).json(body)).await;
    }
    for (spelling, status) in [
        ("fu\u{308}nf wei\u{df}e Ga\u{308}nse\u{a0}schwimmen", 201),
        ("f\u{fc}nf wei\u{df}e G\u{e4}nse schwimmen", 200),
        ("funf weisse Ganse schwimmen", 401),
    ] {
        let mut body = json!({"email": "gans@example.org", "password": spelling});
        let path = if status == 201 { "/auth/register" } else { "/auth/login" };
        if status == 201 {
            body["name"] = json!("Gans");
        }
        api.ask(status, api.post(path).from(from).json(body)).await;
    }
}

async fn weak_passwords(api: &Everywhere) {
    for password in
        ["short", "password1", "12345678", "aaaaaaaaaaaa", "adalovelace", "qwertyuiop", "p@ssw0rd!"]
    {
        let body = json!({"email": "weak@example.org", "password": password, "name": "Ada Lovelace"});
        api.ask(400, api.post("/auth/register").from(address_of(11)).json(body)).await;
    }
}

async fn guesses(api: &Everywhere) {
    let from = address_of(12);
    let grace = register(api, "Grace", from).await;
    let guess = |email: &str, password: &str| {
        api.post("/auth/login").from(from).json(json!({"email": email, "password": password}))
    };
    api.ask(200, guess("GRACE@example.com", PASSWORD)).await;
    for email in [grace.email.as_str(), "nobody@example.com"] {
        for _ in 0..5 {
            api.ask(401, guess(email, "wrong")).await;
        }
        api.ask(423, guess(email, PASSWORD)).await;
        api.wait(MINUTE);
        api.ask(423, guess(email, "")).await;
    }
    let admin = sign_in_admin(api, address_of(13)).await;
    let path = format!("/users/{}", grace.id);
    let locked = api.ask(200, api.get(&path).by(&admin)).await;
    api.ask(200, api.get("/users?status=locked").by(&admin)).await;
    api.wait(15 * MINUTE);
    let admin = sign_in_admin(api, address_of(13)).await;
    let again = api.get(&path).by(&admin).header(header::IF_NONE_MATCH, &locked.etag());
    api.ask(200, again).await; // the user is no longer locked
    api.ask(200, guess(&grace.email, PASSWORD)).await;
    api.ask(401, guess("nobody@example.com", PASSWORD)).await;
    for _ in 0..5 {
        api.ask(401, guess(&grace.email, "wrong again")).await;
    }
    api.ask(200, api.post(&format!("{path}/unlock")).by(&admin)).await;
    api.ask(200, guess(&grace.email, PASSWORD)).await;
}

async fn devices(api: &Everywhere) {
    let from = address_of(16);
    let body = json!({"email": "known@example.com", "password": PASSWORD, "name": "Known"});
    let known = api.ask(201, api.post("/auth/register").from(from).json(body)).await.json();
    let guess = |password: &str, device_token: &Value| {
        let body = json!({"email": "known@example.com", "password": password, "device_token": device_token});
        api.post("/auth/login").from(from).json(body)
    };
    let token = known["device_token"].clone();
    for _ in 0..5 {
        api.ask(401, guess("wrong", &Value::Null)).await;
    }
    for ignored in [Value::Null, json!(""), json!("x"), json!("A".repeat(64))] {
        api.ask(423, guess(PASSWORD, &ignored)).await;
    }
    api.ask(400, guess(PASSWORD, &json!(7))).await;
    let next = api.ask(200, guess(PASSWORD, &token)).await.json()["device_token"].clone();
    for _ in 0..5 {
        api.ask(401, guess("wrong", &next)).await;
    }
    api.ask(423, guess(PASSWORD, &next)).await; // as for anyone
    let web = json!({"email": "known@example.com", "password": PASSWORD, "device_name": "web"});
    let log_in = |name: &str, token: &Value| {
        let cookie = format!("{name}={}", token.as_str().unwrap());
        api.post("/auth/login").from(from).header(header::COOKIE, &cookie).json(web.clone())
    };
    api.ask(200, log_in("__Secure-device_token", &token)).await;
    api.ask(423, log_in("device_token", &token)).await;
    api.ask(200, log_in("device_token", &token).header(header::HOST, "localhost:3000")).await;
    api.ask(423, log_in("__Secure-device_token", &token).header(header::ORIGIN, "https://evil.example"))
        .await;
    api.wait(15 * MINUTE);
    api.ask(401, guess("wrong", &next)).await;
    api.ask(200, guess(PASSWORD, &Value::Null)).await;
}

async fn own_account(api: &Everywhere) {
    let from = address_of(14);
    let ada = register(api, "Hopper", from).await;
    let me = api.ask(200, api.get("/auth/me").by(&ada)).await;
    let etag = me.etag();
    api.ask(304, api.get("/auth/me").by(&ada).header(header::IF_NONE_MATCH, &etag)).await;
    api.ask(304, api.get("/auth/me").by(&ada).header(header::IF_NONE_MATCH, &format!("\"x\", W/{etag}")))
        .await;
    api.ask(200, api.get("/auth/me").by(&ada).header(header::IF_NONE_MATCH, "\"x\"")).await;
    api.ask(200, api.get("/auth/me").by(&ada).header(header::ACCEPT_ENCODING, "gzip")).await;
    let renamed = api.patch("/auth/me").by(&ada).if_match(&etag).json(json!({"name": "Grace Hopper"}));
    let renamed = api.ask(200, renamed).await;
    api.ask(412, api.patch("/auth/me").by(&ada).if_match(&etag).json(json!({"name": "X"}))).await;
    // Two lines of a header form one list.
    let lines = api.patch("/auth/me").by(&ada).if_match("\"x\"").if_match(&renamed.etag());
    api.ask(200, lines.json(json!({"name": "Rear Admiral Hopper"}))).await;
    api.ask(200, api.patch("/auth/me").by(&ada).json(json!({}))).await;
    api.ask(409, api.patch("/auth/me").by(&ada).json(json!({"email": "GRACE@example.com"}))).await;
    api.ask(200, api.patch("/auth/me").by(&ada).json(json!({"email": "navy@example.com"}))).await;
    for patch in
        [json!({"name": null}), json!({"id": "x"}), json!({"email": "x", "name": ""}), json!([]), json!(1)]
    {
        api.ask(400, api.patch("/auth/me").by(&ada).json(patch)).await;
    }
    sign_in(api, "navy@example.com", from).await;
    let freed = json!({"email": "hopper@example.com", "password": PASSWORD, "name": "Another"});
    api.ask(201, api.post("/auth/register").from(from).json(freed)).await;
}

async fn changes_of_password(api: &Everywhere) {
    let from = address_of(15);
    let linus = register(api, "Linus", from).await;
    let elsewhere = sign_in(api, &linus.email, from).await;
    let new = "another-passphrase-77";
    let change = |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        api.post("/auth/password-change").by(&linus).json(body)
    };
    api.ask(401, change("wrong", new)).await;
    api.ask(400, change(PASSWORD, "password1")).await;
    api.ask(400, change(PASSWORD, "short")).await;
    api.ask(400, change(PASSWORD, "linus@example.com")).await;
    api.ask(204, change(PASSWORD, new)).await;
    let refresh = |token: &str| api.post("/auth/refresh").from(from).json(json!({"refresh_token": token}));
    api.ask(401, refresh(&elsewhere.refresh_token)).await;
    person(&api.ask(200, refresh(&linus.refresh_token)).await.json());
    let login = |password: &str| {
        api.post("/auth/login").from(from).json(json!({"email": linus.email, "password": password}))
    };
    api.ask(401, login(PASSWORD)).await;
    api.ask(200, login(new)).await;

    // A device guesses apart from everyone else, and before the first log-in nothing is counted yet.
    let body = json!({"email": "device@example.com", "password": PASSWORD, "name": "Device"});
    let registered = api.ask(201, api.post("/auth/register").from(from).json(body)).await.json();
    let device = person(&registered);
    let change = |current: &str, device_token: &Value| {
        let body = json!({"current_password": current, "new_password": new, "device_token": device_token});
        api.post("/auth/password-change").by(&device).json(body)
    };
    api.ask(401, change("wrong", &registered["device_token"])).await;
    api.ask(401, change("wrong", &Value::Null)).await;
    api.ask(204, change(PASSWORD, &registered["device_token"])).await;
}
