//! Tests that the logs contain no secrets. It is a separate test binary, since it captures everything that its
//! process logs.

use std::io;
use std::sync::{Arc, Mutex};

use axum::http::header;
use serde_json::json;
use switchyard_harness::app::{App, PASSWORD};
use switchyard_harness::store::Backend;
use switchyard_runtime::Metrics;
use tracing_subscriber::filter::LevelFilter;

/// Everything that is logged in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics while it logs").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_password_and_no_token_is_ever_logged() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(move || writer.clone()).init();

    let metrics = Metrics::in_process().unwrap();
    let router = |db: &_, identity: &_| switchyard_local::router(db, &metrics, identity);
    let app = App::start(Backend::Sqlite, router).await;
    let (wrong, weak, new) = ("a-wrong-guess-5150", "adalovelace", "another-passphrase-77");
    let register = |password| json!({"email": "ada@example.com", "password": password, "name": "Ada Lovelace", "device_name": "web"});
    app.post("/auth/register").once("k").json(register(weak)).await.expect(400);
    let first = app.post("/auth/register").once("k2").json(register(PASSWORD)).await;
    app.post("/auth/login").json(json!({"email": "ada@example.com", "password": wrong})).await.expect(401);
    let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let second = app.post("/auth/refresh").header(header::COOKIE, &cookie).await;
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    let device_cookie = first.headers.get_all("set-cookie").iter().nth(1).unwrap().to_str().unwrap();
    let device_cookie = device_cookie.split(';').next().unwrap();
    app.post("/auth/login").header(header::COOKIE, device_cookie).json(login).await.expect(200);
    let cookies: Vec<String> = [&first, &second]
        .iter()
        .flat_map(|answer| answer.headers.get_all("set-cookie"))
        .map(|line| line.to_str().unwrap().split(['=', ';']).nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(cookies.len(), 4);
    let (first, second) = (first.expect(201), second.expect(200));
    let token = second["access_token"].as_str().unwrap();
    let change = json!({"current_password": PASSWORD, "new_password": new});
    app.post("/auth/password-change").bearer(token).json(change).await.expect(204);
    app.post("/auth/refresh").header(header::COOKIE, &cookie).await.expect(200); // again
    app.post("/auth/refresh").header(header::COOKIE, &format!("{cookie}x")).await.expect(401);
    app.get("/auth/me").bearer(&format!("{token}x")).await.expect(401);

    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(logged.lines().filter(|line| line.contains("answered")).count() >= 7, "{logged}");
    let access_tokens = [&first, &second].map(|answer| answer["access_token"].as_str().unwrap());
    let tokens = access_tokens.into_iter().chain(cookies.iter().map(String::as_str));
    for secret in tokens.chain([PASSWORD, wrong, weak, new]) {
        assert!(!logged.contains(secret), "{secret} is in the log:\n{logged}");
    }
}
