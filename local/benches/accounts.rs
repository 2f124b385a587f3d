//! How many accounts register and log in per second, on each database: requests of many clients at once to a server with the
//! least bcrypt cost, so that the database counts and not the hash.
//!
//! Run `cargo bench -p switchyard-local --bench accounts` after `eval "$(local/servers env)"`. Optional arguments after `--`
//! are the name of one database (sqlite, postgres, dynamodb) and the seconds of a round. If `OTHER_SERVER` is the path of a
//! server of another build, rounds of both alternate: each has a database of its own.

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/http.rs"]
mod http;
#[path = "support/statistics.rs"]
mod statistics;

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::future::try_join_all;
use http::Connection;
use serde_json::json;
use statistics::percentile;
use switchyard_harness::identity::identity_environment;
use switchyard_harness::process::Process;
use switchyard_harness::store::{Backend, Store};
use tempfile::TempDir;

const CLIENTS: usize = 64;
const ROUNDS: usize = 5;
const PASSWORD: &str = "correct-horse-battery-staple-9";

fn main() -> anyhow::Result<()> {
    let (backends, seconds) = arguments::read(&Backend::ALL)?;
    let length = Duration::from_secs(seconds.unwrap_or(5));
    let mut servers = vec![env!("CARGO_BIN_EXE_switchyard").to_owned()];
    servers.extend(std::env::var("OTHER_SERVER"));
    println!("| | registrations/s | log-ins/s |\n|---|---|---|");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    backends.into_iter().try_for_each(|backend| runtime.block_on(measure(backend, &servers, length)))
}

async fn measure(backend: Backend, servers: &[String], length: Duration) -> anyhow::Result<()> {
    let mut sides = Vec::new();
    for server in servers {
        sides.push(Side::start(backend, server).await?);
    }
    // The first round warms the caches of all.
    for round in 0..=ROUNDS {
        for side in &mut sides {
            let registered = side.register(length).await?;
            let logged_in = side.log_in(length).await?;
            if round > 0 {
                side.registered.push(registered);
                side.logged_in.push(logged_in);
            }
        }
    }
    for side in sides {
        let (registered, logged_in) = (percentile(side.registered, 0.5), percentile(side.logged_in, 0.5));
        println!("| {backend:?}, {} | {registered:.0} | {logged_in:.0} |", side.name);
    }
    Ok(())
}

/// A server with its database.
struct Side {
    name: String,
    clients: Vec<Client>,
    registered: Vec<f64>,
    logged_in: Vec<f64>,
    _running: (Process, Store, TempDir),
}

/// A client, with the number of accounts that it has registered.
struct Client {
    connection: Connection,
    number: usize,
    accounts: usize,
    logged_in: usize,
}

impl Side {
    async fn start(backend: Backend, server: &str) -> anyhow::Result<Self> {
        let store = Store::fresh(backend).await?;
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(server);
        command.current_dir(folder.path()).envs(store.environment()).envs(identity_environment());
        command.envs([
            ("RATE_LIMIT", "off"),
            ("RATE_LIMIT_USER", "off"),
            ("BCRYPT_COST", "4"),
            ("LOG", "warn"),
        ]);
        let process = Process::serve_with_log(command, File::create(folder.path().join("log"))?).await?;
        let address = process.base_url.trim_start_matches("http://").parse()?;
        let clients = (0..CLIENTS).map(async |number| {
            anyhow::Ok(Client {
                connection: Connection::open(address).await?,
                number,
                accounts: 0,
                logged_in: 0,
            })
        });
        let clients = try_join_all(clients).await?;
        let (registered, logged_in) = (Vec::new(), Vec::new());
        Ok(Self {
            name: server.to_owned(),
            clients,
            registered,
            logged_in,
            _running: (process, store, folder),
        })
    }

    /// Registers accounts from all clients. Returns how many a second.
    async fn register(&mut self, length: Duration) -> anyhow::Result<f64> {
        let start = Instant::now();
        let clients = self.clients.iter_mut().map(async |client| {
            let before = client.accounts;
            while start.elapsed() < length {
                let email = client.email(client.accounts);
                let body = json!({ "email": email, "password": PASSWORD, "name": "Ada Lovelace" });
                client.post("/auth/register", &body.to_string(), 201).await?;
                client.accounts += 1;
            }
            anyhow::Ok(client.accounts - before)
        });
        Ok(rate(&try_join_all(clients).await?, start))
    }

    /// Logs the accounts in, one after the other. Returns how many a second.
    async fn log_in(&mut self, length: Duration) -> anyhow::Result<f64> {
        let start = Instant::now();
        let clients = self.clients.iter_mut().map(async |client| {
            let before = client.logged_in;
            while start.elapsed() < length {
                let email = client.email(client.logged_in % client.accounts);
                let body = json!({ "email": email, "password": PASSWORD });
                client.post("/auth/login", &body.to_string(), 200).await?;
                client.logged_in += 1;
            }
            anyhow::Ok(client.logged_in - before)
        });
        Ok(rate(&try_join_all(clients).await?, start))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(counts: &[usize], start: Instant) -> f64 {
    counts.iter().sum::<usize>() as f64 / start.elapsed().as_secs_f64()
}

impl Client {
    fn email(&self, account: usize) -> String {
        format!("person{account}-{}@example.org", self.number)
    }

    async fn post(&mut self, path: &str, body: &str, status: u16) -> anyhow::Result<()> {
        let request = format!(
            "POST /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.connection.exchange(request.as_bytes()).await?;
        let body = String::from_utf8_lossy(answer.body);
        ensure!(answer.status == status, "expected status {status}: {}\n{body}", answer.head);
        Ok(())
    }
}
