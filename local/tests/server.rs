//! Tests the server of `cargo run` as a new user sees it: the binary, started in an empty folder, on each database.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
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

async fn change_password(server: &Process, token: &str, current: &str, new: &str) {
    let request = reqwest::Client::new().post(format!("{}/api/v1/auth/password-change", server.base_url));
    let body = json!({"current_password": current, "new_password": new});
    let answer = request.bearer_auth(token).json(&body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 204);
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
        command.envs(store.environment()).env("SECRETS", "file:secrets");
        Process::serve(command).await.unwrap()
    };

    let mut server = start().await;
    let output = server.output();
    assert_eq!(printed(&output, "Docs"), Some(format!("{}/docs", server.base_url).as_str()));
    // The output is not a terminal, so the password is in a file.
    let email = printed(&output, "Admin").unwrap().to_owned();
    let file = printed(&output, "Password").unwrap().strip_prefix("in ").unwrap();
    let file = folder.path().join(file.split(' ').next().unwrap());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let given = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    assert_eq!(given.len(), 24);
    assert!(!output.contains(&given), "{output}");
    let credentials = json!({"email": email, "password": given});
    let (status, admin) = post(&server, "/auth/login", credentials).await;
    assert_eq!(status, 200, "{admin}");
    let token = admin["access_token"].as_str().unwrap();
    let (status, refused) = get(&server, "/api/v1/users", token).await;
    assert_eq!((status, &refused["error"]["code"]), (403, &json!("PASSWORD_CHANGE_REQUIRED")));
    change_password(&server, token, &given, "seven green kettles").await;
    let credentials = json!({"email": email, "password": "seven green kettles"});
    let account =
        json!({"email": "Zoë@example.org", "password": "a-fairly-long-passphrase-7", "name": "Zoë 山田"});
    let (status, registered) = post(&server, "/auth/register", account).await;
    assert_eq!(status, 201, "{registered}");
    assert_eq!(server.terminate().unwrap(), Some(0));

    let server = start().await;
    assert_eq!(printed(&server.output(), "Password"), None, "the admin is created only once");
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
async fn migrate_creates_the_configured_admin() {
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

    // Another address than that of the admin is not ignored without a word.
    let mut command = switchyard(folder.path());
    command.arg("migrate").envs([("ADMIN_EMAIL", "other@example.org"), admin[1]]);
    let (code, output, errors) = process::run(command).unwrap();
    assert_eq!(code, Some(0), "{errors}");
    let warning = "ADMIN_EMAIL does not name an admin, and none was created because there is another admin already; \
                   `switchyard admin create` creates one beside them";
    assert!(output.contains(warning), "{output}");
}

async fn an_operator_creates_admins_resets_passwords_and_unlocks_on(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::fresh(backend).await.unwrap();
    let command = |arguments: &[&str]| {
        let mut command = switchyard(folder.path());
        command.envs(store.environment()).env("SECRETS", "file:secrets").args(arguments);
        command
    };
    let admin = |arguments: &[&str]| process::run(command(&[&["admin"], arguments].concat())).unwrap();
    let password = |output: &str| printed(output, "Password").unwrap().split(' ').next().unwrap().to_owned();
    let (code, output, errors) = admin(&["create", "root@example.org"]);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(printed(&output, "Admin"), Some("root@example.org"));
    let first = password(&output);
    let (code, _, errors) = admin(&["create", "ROOT@example.org"]);
    assert_eq!(code, Some(1));
    let taken = "switchyard: there is an account with the address ROOT@example.org already";
    assert!(errors.starts_with(taken), "{errors}");

    let server = Process::serve(command(&[])).await.unwrap();
    assert_eq!(printed(&server.output(), "Admin"), None, "there is an admin already");
    let login = async |password: &str| {
        let (status, answer) =
            post(&server, "/auth/login", json!({"email": "root@example.org", "password": password})).await;
        (status, answer["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(login(&first).await.0, 200);
    let (code, output, errors) = admin(&["reset-password", "root@example.org"]);
    assert_eq!(code, Some(0), "{errors}");
    let second = password(&output);
    for _ in 0..5 {
        assert_eq!(login(&first).await, (401, "INVALID_CREDENTIALS".to_owned()));
    }
    assert_eq!(login(&second).await, (423, "ACCOUNT_LOCKED".to_owned()));
    let (code, output, errors) = admin(&["unlock", "root@example.org"]);
    assert_eq!((code, output.as_str()), (Some(0), "root@example.org is not locked.\n"), "{errors}");
    assert_eq!(login(&second).await.0, 200);

    // The device that is known can be locked, too.
    let credentials = json!({"email": "root@example.org", "password": second});
    let token = post(&server, "/auth/login", credentials).await.1["device_token"].clone();
    let login_from = async |device: &Value, password: &str| {
        let body = json!({"email": "root@example.org", "password": password, "device_token": device});
        post(&server, "/auth/login", body).await.0
    };
    for device in [&token, &Value::Null] {
        for _ in 0..5 {
            assert_eq!(login_from(device, "wrong").await, 401);
        }
    }
    assert_eq!(login_from(&token, &second).await, 423);
    assert_eq!(admin(&["unlock", "root@example.org"]).0, Some(0));
    for _ in 0..5 {
        assert_eq!(login_from(&Value::Null, "wrong").await, 401);
    }
    assert_eq!((login_from(&Value::Null, &second).await, login_from(&token, &second).await), (423, 200));

    for verb in ["reset-password", "unlock"] {
        let (code, _, errors) = admin(&[verb, "nobody@example.org"]);
        let sentence = "switchyard: there is no account with the address nobody@example.org\n";
        assert_eq!((code, errors.as_str()), (Some(1), sentence));
    }
}

#[tokio::test]
async fn an_operator_creates_admins_resets_passwords_and_unlocks_on_sqlite() {
    an_operator_creates_admins_resets_passwords_and_unlocks_on(Backend::Sqlite).await;
}

#[tokio::test]
async fn an_operator_creates_admins_resets_passwords_and_unlocks_on_postgres() {
    an_operator_creates_admins_resets_passwords_and_unlocks_on(Backend::Postgres).await;
}

#[tokio::test]
async fn an_operator_creates_admins_resets_passwords_and_unlocks_on_dynamodb() {
    an_operator_creates_admins_resets_passwords_and_unlocks_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn a_log_of_json_lines_contains_nothing_else_and_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = switchyard(folder.path());
    command.env("LOG_FORMAT", "json");
    let mut server = Process::serve(command).await.unwrap();
    assert_eq!(get(&server, "/api/v1/auth/me", "nonsense").await.0, 401);
    server.terminate().unwrap();
    let output = server.output();
    let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let created = lines.iter().find(|line| line["password_file"] == "data/admin-password").unwrap();
    assert_eq!(created["admin"], "admin@localhost");
    let password = std::fs::read_to_string(folder.path().join("data/admin-password")).unwrap();
    assert!(!output.contains(password.trim()), "{output}");
    // The line of a request says everything once, and its latency to the microsecond.
    let answered = lines.iter().find(|line| line["path"] == "/api/v1/auth/me").unwrap();
    let names: Vec<&str> = answered.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "latency_ms",
        "level",
        "message",
        "method",
        "path",
        "request_id",
        "route",
        "status",
        "target",
        "timestamp",
    ];
    assert_eq!(names, expected);
    let latency = answered["latency_ms"].to_string();
    assert!(latency.split_once('.').is_none_or(|(_, decimals)| decimals.len() <= 3), "{latency}");
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
        command.env("DATABASE_URL", url).env("PORT", "0").env("SECRETS", "file:secrets");
        command.env("DATABASE_START_TIMEOUT", "1s");
        let (code, output, errors) = process::run(command).unwrap();
        assert_eq!(code, Some(1), "{url}: {output}{errors}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{url} leaves files behind");
        assert!(errors.contains(&sentence), "{url}: {errors}");
        assert!(!errors.contains("hunter2") && !output.contains("hunter2"), "{url}: {errors}{output}");
        assert_eq!(errors.trim_end().lines().filter(|line| line.contains("panicked")).count(), 0, "{errors}");
    }
}

#[tokio::test]
async fn a_password_for_postgres_can_come_from_the_environment() {
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let url = url::Url::parse(&store.database_url).unwrap();
    let password = url.password().unwrap().to_owned();
    let mut without = url.clone();
    without.set_password(None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let migrate = |url: &url::Url, password: &str| {
        let mut command = switchyard(folder.path());
        command.arg("migrate").env("DATABASE_URL", url.as_str()).env("PGPASSWORD", password);
        command.env("SECRETS", "file:secrets");
        process::run(command).unwrap()
    };
    let done = "The tables on PostgreSQL are up to date.\n";
    assert_eq!(migrate(&without, &password).1, done);
    assert_eq!(migrate(&url, "hunter2").1, done, "the password of the URL is used");
    let (code, output, errors) = migrate(&without, "hunter2");
    assert_eq!((code, &*output), (Some(1), ""));
    assert!(!errors.contains("hunter2"), "{errors}");
}

/// Runs the check of a server on this port.
fn health(port: u16) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = switchyard(folder.path());
    command.arg("health").env("HOST", "0.0.0.0").env("PORT", port.to_string());
    process::run(command).unwrap()
}

#[tokio::test]
async fn the_health_of_a_server_is_that_of_its_database() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::serve(switchyard(folder.path())).await.unwrap();
    let port = server.base_url.rsplit(':').next().unwrap().parse().unwrap();
    let url = format!("{}/readyz", server.base_url);
    let answer = format!("{url} answered 200 OK: {{\"status\":\"ok\"}}\n");
    assert_eq!(health(port), (Some(0), answer, String::new()));
    drop(server);
    let (code, output, errors) = health(port);
    assert_eq!((code, &*output), (Some(1), ""));
    assert!(errors.starts_with(&format!("switchyard: {url} cannot be read: ")), "{errors}");
}

/// A server that reads one request and answers it with `answer`.
fn server_that_answers(answer: &'static str) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = client.read(&mut request).unwrap();
        assert!(request[..length].starts_with(b"GET /readyz HTTP/1.1\r\n"));
        client.write_all(answer.as_bytes()).unwrap();
        // Until the client has gone.
        while client.read(&mut request).is_ok_and(|length| length > 0) {}
    });
    port
}

#[test]
fn a_server_that_is_not_ready_is_not_healthy() {
    let port = server_that_answers("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nno answer");
    let sentence =
        format!("switchyard: http://127.0.0.1:{port}/readyz answered 503 Service Unavailable: no answer\n");
    assert_eq!(health(port), (Some(1), String::new(), sentence));
}

#[test]
fn a_server_that_does_not_answer_is_not_healthy() {
    let port = server_that_answers("");
    let sentence = format!("switchyard: http://127.0.0.1:{port}/readyz was not answered within 4 seconds\n");
    assert_eq!(health(port), (Some(1), String::new(), sentence));
}

#[tokio::test]
async fn a_missing_schema_ends_the_start() {
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = switchyard(folder.path());
    command.env("DATABASE_URL", format!("{}_elsewhere", store.database_url)).env("SECRETS", "file:secrets");
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
