//! Tests the server of `cargo run` as a new user sees it: the binary, started in an empty folder, on each database.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use switchyard_harness::process::{self, Process};
use switchyard_harness::store::{Backend, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The binary in its own folder, with an empty environment except for `BCRYPT_COST`.
fn switchyard(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder).env_clear().env("BCRYPT_COST", "4");
    command
}

async fn post(server: &Process, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/api/v1{path}", server.base_url);
    let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn get(server: &Process, path: &str, token: &str) -> (u16, Value) {
    let url = format!("{}{path}", server.base_url);
    let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The text after a label in the lines that the server prints at its start.
fn printed<'a>(output: &'a str, label: &str) -> Option<&'a str> {
    output.lines().find_map(|line| Some(line.trim().strip_prefix(label)?.trim()))
}

async fn a_restart_keeps_everything_on(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::fresh(backend).await.unwrap();
    let start = async || {
        let mut command = switchyard(folder.path());
        command.envs(store.environment());
        Process::serve(command).await.unwrap()
    };

    let mut server = start().await;
    let output = server.output();
    let email = printed(&output, "Admin").unwrap().to_owned();
    let password = printed(&output, "Password").unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(printed(&output, "Docs"), Some(format!("{}/docs", server.base_url).as_str()));
    let credentials = json!({"email": email, "password": password});
    let (status, admin) = post(&server, "/auth/login", credentials.clone()).await;
    assert_eq!(status, 200, "{admin}");
    let account =
        json!({"email": "Zoë@example.org", "password": "a-fairly-long-passphrase-7", "name": "Zoë 山田"});
    let (status, registered) = post(&server, "/auth/register", account).await;
    assert_eq!(status, 201, "{registered}");
    assert_eq!(server.terminate().unwrap(), Some(0));

    let server = start().await;
    assert_eq!(printed(&server.output(), "Password"), None, "the password is printed only once");
    let (status, again) = post(&server, "/auth/login", credentials).await;
    assert_eq!(status, 200, "{again}");
    assert_eq!(again["user"]["id"], admin["user"]["id"]);
    // The keys are stored, so a token issued before the restart is still valid.
    let (status, me) = get(&server, "/api/v1/auth/me", registered["access_token"].as_str().unwrap()).await;
    assert_eq!((status, &me["name"]), (200, &json!("Zoë 山田")));
    let (status, list) = get(&server, "/api/v1/users?limit=1", again["access_token"].as_str().unwrap()).await;
    assert_eq!((status, &list["pagination"]["has_more"]), (200, &json!(true)));
}

#[tokio::test]
async fn a_restart_keeps_everything_on_sqlite() {
    a_restart_keeps_everything_on(Backend::Sqlite).await;
}

#[tokio::test]
async fn a_restart_keeps_everything_on_postgres() {
    a_restart_keeps_everything_on(Backend::Postgres).await;
}

#[tokio::test]
async fn a_restart_keeps_everything_on_dynamodb() {
    a_restart_keeps_everything_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn without_any_setting_there_is_sqlite_under_data() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::serve(switchyard(folder.path())).await.unwrap();
    assert_eq!(get(&server, "/readyz", "").await, (200, json!({"status": "ok"})));
    assert!(folder.path().join("data/switchyard.db").is_file());
}

#[tokio::test]
async fn migrate_creates_the_configured_admin_and_refuses_other_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let admin = [("ADMIN_EMAIL", "root@example.org"), ("ADMIN_PASSWORD", "seven green kettles")];
    for _ in 0..2 {
        let mut command = switchyard(folder.path());
        command.arg("migrate").envs(admin);
        let (code, output, errors) = process::run(command).unwrap();
        assert_eq!(code, Some(0), "{errors}");
        assert_eq!(output, "The tables on SQLite are up to date.\nThere is an admin.\n");
    }
    let server = Process::serve(switchyard(folder.path())).await.unwrap();
    assert_eq!(printed(&server.output(), "Password"), None);
    let credentials = json!({"email": admin[0].1, "password": admin[1].1});
    assert_eq!(post(&server, "/auth/login", credentials).await.0, 200);
    drop(server);

    std::fs::remove_file(folder.path().join("data/audit-key")).unwrap();
    let (code, _, errors) = process::run(switchyard(folder.path())).unwrap();
    assert_eq!(code, Some(1));
    assert!(errors.starts_with("switchyard: the database was used with another AUDIT_KEY"), "{errors}");
}

fn send_signal(server: &Process, signal: &str) {
    let status = Command::new("kill").args([signal, &server.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_first_says_that_it_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = switchyard(folder.path());
    command.env("SHUTDOWN_DELAY", "3s");
    let mut server = Process::serve(command).await.unwrap();
    assert_eq!(get(&server, "/readyz", "").await.0, 200);
    send_signal(&server, "-TERM");
    let asked = Instant::now();
    while get(&server, "/readyz", "").await.0 == 200 {
        assert!(asked.elapsed() < Duration::from_secs(2), "the server is still ready");
    }
    let (status, answer) = get(&server, "/readyz", "").await;
    assert_eq!((status, &answer["error"]["message"]), (503, &json!("The server is stopping.")));
    // New clients are still accepted, and told not to come back on the same connection.
    let answer = reqwest::get(format!("{}/healthz", server.base_url)).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["connection"]), (200, &"close".parse().unwrap()));
    while reqwest::get(format!("{}/healthz", server.base_url)).await.is_ok() {
        assert!(asked.elapsed() < Duration::from_secs(20), "the server still accepts clients");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(asked.elapsed() >= Duration::from_secs(3), "{:?}", asked.elapsed());
    assert_eq!(server.terminate().unwrap(), Some(0));
}

#[tokio::test]
async fn a_client_that_closes_its_side_still_gets_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::serve(switchyard(folder.path())).await.unwrap();
    let account =
        json!({"email": "ada@example.org", "password": "a-fairly-long-passphrase-7", "name": "Ada"});
    let body = account.to_string();
    let mut stream = TcpStream::connect(server.base_url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST /api/v1/auth/register HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
}

#[test]
fn a_wrong_database_url_ends_the_start_with_one_sentence() {
    let forms =
        "sqlite:data/switchyard.db, postgres://user:password@host/database or dynamodb://table-prefix";
    let cases = [
        (
            "mysql://root:hunter2@localhost/shop",
            format!("DATABASE_URL has the unknown scheme `mysql`; use {forms}"),
        ),
        ("hunter2", format!("DATABASE_URL must name a database, as in {forms}")),
        ("dynamodb://", "DATABASE_URL must name a prefix for the tables".to_owned()),
        ("sqlite:/proc/no/such.db", "cannot be used".to_owned()),
        ("postgres://user:hunter2@127.0.0.1:1/none", "127.0.0.1:1".to_owned()),
    ];
    for (url, sentence) in cases {
        let folder = tempfile::tempdir().unwrap();
        let mut command = switchyard(folder.path());
        command.env("DATABASE_URL", url).env("PORT", "0");
        let (code, output, errors) = process::run(command).unwrap();
        assert_eq!(code, Some(1), "{url}: {output}{errors}");
        assert!(errors.contains(&sentence), "{url}: {errors}");
        assert!(!errors.contains("hunter2") && !output.contains("hunter2"), "{url}: {errors}{output}");
        assert_eq!(errors.trim_end().lines().filter(|line| line.contains("panicked")).count(), 0, "{errors}");
    }
}

#[tokio::test]
async fn a_missing_schema_ends_the_start() {
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = switchyard(folder.path());
    command.env("DATABASE_URL", format!("{}_elsewhere", store.database_url));
    let (code, output, errors) = process::run(command).unwrap();
    assert_eq!(code, Some(1), "{output}");
    let sentence = "no schema of the search_path exists; create one or change the search_path";
    assert!(errors.contains(sentence), "{errors}");
}

#[test]
fn a_server_that_cannot_listen_still_prints_the_generated_password() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut command = switchyard(folder.path());
    command.env("PORT", address.port().to_string());
    let (code, output, errors) = process::run(command).unwrap();
    assert_eq!(code, Some(1), "{output}");
    let sentence =
        format!("switchyard: cannot listen on {address}; choose another address with HOST and PORT: ");
    assert!(errors.starts_with(&sentence), "{errors}");
    assert!(printed(&output, "Password").is_some(), "{output}");
}

#[test]
fn all_wrong_settings_are_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = switchyard(folder.path());
    command.envs([("PORT", "http"), ("RATE_LIMIT", "many"), ("BCRYPT_COST", "99")]);
    let (code, _, errors) = process::run(command).unwrap();
    assert_eq!(code, Some(1));
    for name in ["PORT", "RATE_LIMIT", "BCRYPT_COST"] {
        assert!(errors.contains(name), "{errors}");
    }
}
