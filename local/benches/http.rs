//! The cost of the HTTP API: compares an authenticated `GET /api/v1/users/{id}` on PostgreSQL with a bare axum handler
//! and with an Express server, which check the same token and run the same query.
//!
//! Run `cargo bench -p switchyard-local --bench http` after `eval "$(local/servers env)"`. It needs Node.js too. Each
//! server is a process of its own. The same client loads them in turns, over the same number of connections.

#[path = "support/compare.rs"]
mod compare;
#[path = "support/http.rs"]
mod http;
#[path = "support/statistics.rs"]
mod statistics;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use compare::{Comparison, tasks};
use http::Connection;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use switchyard_harness::process::Process;
use switchyard_harness::store::{Backend, Store};
use tokio::sync::Mutex;

const CONNECTIONS: usize = 32;
const DATABASE_CONNECTIONS: usize = 10;
const EMAIL: &str = "bench@example.org";
const PASSWORD: &str = "correct-horse-battery-staple-9";

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if std::env::var_os("YARDSTICK").is_some() {
        return runtime.block_on(serve_yardstick());
    }
    runtime.block_on(compare())
}

async fn compare() -> anyhow::Result<()> {
    let store = Store::fresh(Backend::Postgres).await?;
    let data = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(data.path()).envs(store.environment()).env("SECRETS", "file:secrets");
    command.envs([
        ("RATE_LIMIT", "off"),
        ("RATE_LIMIT_USER", "off"),
        ("LOG", "info"),
        ("LOG_FORMAT", "json"),
    ]);
    let ours = Process::serve_with_log(command, File::create(data.path().join("log"))?).await?;
    let client = reqwest::Client::new();
    let signed_in: Value = client
        .post(format!("{}/api/v1/auth/register", ours.base_url))
        .json(&json!({"email": EMAIL, "password": PASSWORD, "name": "Bench"}))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let token =
        signed_in["access_token"].as_str().context("the answer to the registration has no access token")?;
    let id = signed_in["user"]["id"].as_str().context("the user has no id")?;
    let keys: Value = reqwest::get(format!("{}/.well-known/jwks.json", ours.base_url)).await?.json().await?;

    let bare = Command::new(std::env::current_exe()?);
    let mut express = Command::new("node");
    express.arg(install_express()?.join("server.js")).env("NODE_ENV", "production");
    let yardstick = async |mut command: Command, log| {
        command.env("YARDSTICK", keys["keys"][0].to_string()).env("DATABASE_URL", &store.database_url);
        Process::serve_with_log(command, File::create(data.path().join(log))?).await
    };
    let (bare, express) = (yardstick(bare, "bare.log").await?, yardstick(express, "express.log").await?);

    let request = |process: &Process| {
        let host = process.base_url.trim_start_matches("http://");
        format!("GET /api/v1/users/{id} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    let our_load = Load::new(&ours, request(&ours)).await?;
    let bare_load = Load::new(&bare, request(&bare)).await?;
    let express_load = Load::new(&express, request(&express)).await?;
    Comparison::new("GET /api/v1/users/{id}", "bare axum handler, same query and token check", 0.85)
        .run(|| our_load.round(), || bare_load.round())
        .await?;
    Comparison::new("GET /api/v1/users/{id}", "Express, pg and jsonwebtoken, a process for each core", 6.0)
        .run(|| our_load.round(), || express_load.round())
        .await?;
    for (name, load) in
        [("switchyard", &our_load), ("the bare handler", &bare_load), ("Express", &express_load)]
    {
        println!("{name} takes {:.0} µs of CPU time per request", load.microseconds_of_a_request().await);
    }
    for (name, process) in [("switchyard", &ours), ("the bare handler", &bare)] {
        println!("resident memory of {name}: {:.1} MB", process.megabytes()?);
    }
    Ok(())
}

/// Installs the dependencies of the Express server and returns its folder.
fn install_express() -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/express");
    if !folder.join("node_modules").exists() {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder);
        let status = npm.status().context("npm is missing: install Node.js 20 or later")?;
        anyhow::ensure!(status.success(), "npm could not install the dependencies of the Express server");
    }
    Ok(folder)
}

struct Load<'a> {
    process: &'a Process,
    request: String,
    connections: Vec<Mutex<Connection>>,
    /// Requests so far, and the CPU time that the server spent on them.
    spent: Mutex<(u64, Duration)>,
}

impl<'a> Load<'a> {
    async fn new(process: &'a Process, request: String) -> anyhow::Result<Self> {
        let address: SocketAddr = process.base_url.trim_start_matches("http://").parse()?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Mutex::new(Connection::open(address).await?));
        }
        Ok(Self { process, request, connections, spent: Mutex::default() })
    }

    async fn round(&self) -> anyhow::Result<compare::Round> {
        let before = self.process.processor_time()?;
        let round = tasks(CONNECTIONS, |task| async move {
            let mut connection = self.connections[task].lock().await;
            let answer = connection.exchange(self.request.as_bytes()).await?;
            let body = String::from_utf8_lossy(answer.body);
            anyhow::ensure!(answer.status == 200, "the server answered: {}\n{body}", answer.head);
            Ok(())
        })
        .await?;
        let mut spent = self.spent.lock().await;
        spent.0 += round.operations;
        spent.1 += self.process.processor_time()? - before;
        Ok(round)
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    async fn microseconds_of_a_request(&self) -> f64 {
        let (requests, time) = *self.spent.lock().await;
        time.as_secs_f64() * 1e6 / requests as f64
    }
}

struct Yardstick {
    key: DecodingKey,
    validation: Validation,
    clients: Vec<(tokio_postgres::Client, tokio_postgres::Statement)>,
    next: std::sync::atomic::AtomicUsize,
}

async fn serve_yardstick() -> anyhow::Result<()> {
    let key: Value = serde_json::from_str(&std::env::var("YARDSTICK")?)?;
    let part = |name: &str| key[name].as_str().context("the RSA key lacks a modulus or an exponent");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&["switchyard"]);
    validation.set_issuer(&["switchyard"]);
    let url = std::env::var("DATABASE_URL")?;
    let mut clients = Vec::new();
    for _ in 0..DATABASE_CONNECTIONS {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        let select = client.prepare("SELECT version, doc, expires_at FROM users WHERE id = $1").await?;
        clients.push((client, select));
    }
    let state = Yardstick {
        key: DecodingKey::from_rsa_components(part("n")?, part("e")?)?,
        validation,
        clients,
        next: Default::default(),
    };
    let router = axum::Router::new()
        .route("/healthz", get(|| async {}))
        .route("/api/v1/users/{id}", get(get_user))
        .with_state(Arc::new(state));
    let address = format!("127.0.0.1:{}", std::env::var("PORT")?);
    let listener = tokio::net::TcpListener::bind(address).await?;
    Ok(axum::serve(listener, router).await?)
}

#[expect(clippy::disallowed_types, reason = "the yardstick is a bare axum handler")]
async fn get_user(
    State(state): State<Arc<Yardstick>>,
    axum::extract::Path(id): axum::extract::Path<String>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, StatusCode> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .ok_or(StatusCode::UNAUTHORIZED)?;
    let claims = jsonwebtoken::decode::<Value>(token, &state.key, &state.validation)
        .map_err(|_| StatusCode::UNAUTHORIZED)?
        .claims;
    if claims["sub"] != id.as_str() {
        return Err(StatusCode::NOT_FOUND);
    }
    let turn = state.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % state.clients.len();
    let (client, select) = &state.clients[turn];
    let row = client.query_one(select, &[&id]).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let user: tokio_postgres::types::Json<Value> = row.get(1);
    Ok(axum::Json(user.0))
}
