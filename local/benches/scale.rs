//! The cost of many users: sends the same requests in turns to a server with a thousand users and to one with a
//! million. Also measures the import, the size on disk, and page 10,000 of a list compared to page 1.
//!
//! Run `cargo bench -p switchyard-local --bench scale` after `eval "$(local/servers env)"`. Optional arguments
//! after `--` are the name of one database (sqlite, postgres) and the number of users instead of a million.

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/http.rs"]
mod http;
#[path = "support/statistics.rs"]
mod statistics;

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use http::Connection;
use serde_json::Value;
use statistics::percentile;
use switchyard_harness::identity::{ADMIN_ENVIRONMENT, sign_in_admin};
use switchyard_harness::process::Process;
use switchyard_harness::store::{Backend, Store};
use tempfile::TempDir;

const FEW: u64 = 1_000;
const MANY: u64 = 1_000_000;
/// How often each request is sent to each side.
const TIMES: usize = 201;
/// The maximum page size. A million users are ten thousand pages.
const PAGE: usize = 100;

/// Labels, paths, and how many users each request must find, both among few and among many.
const REQUESTS: &[(&str, &str, usize)] = &[
    ("20 newest", "/api/v1/users?limit=20", 20),
    ("20 oldest", "/api/v1/users?limit=20&sort=created_at", 20),
    ("20 with a role", "/api/v1/users?limit=20&role=merchant", 20),
    ("20 with a status", "/api/v1/users?limit=20&status=active", 20),
    (
        "20 in a time range",
        "/api/v1/users?limit=20&created_from=2023-01-01T01:00:00Z&created_to=2023-01-01T02:00:00Z",
        20,
    ),
    ("5 by a word", "/api/v1/users?limit=5&q=grace", 5),
    ("5 by a prefix", "/api/v1/users?limit=5&q=gra", 5),
    ("1 by two words", "/api/v1/users?limit=1&q=grace%20mensah", 1),
    ("1 by address", "/api/v1/users?limit=1&q=person-0000007%40example.org", 1),
    ("counts", "/api/v1/users/stats", 0),
];

/// A database with imported users, not served yet. The server starts only after all imports, because its
/// connections and tokens would expire during another import.
struct Imported {
    store: Store,
    directory: TempDir,
}

impl Imported {
    async fn new(backend: Backend, users: u64) -> anyhow::Result<Self> {
        let store = Store::fresh(backend).await?;
        let directory = tempfile::tempdir()?;
        import(&store, directory.path(), users)?;
        if let Backend::Postgres = backend {
            // PostgreSQL does this by itself in the minutes after an import, which would disturb the measurement.
            connect(&store).await?.batch_execute("VACUUM (ANALYZE)").await?;
        }
        Ok(Self { store, directory })
    }

    async fn serve(self) -> anyhow::Result<Site> {
        let Self { store, directory } = self;
        let mut command = program(&store, directory.path());
        command.envs([("RATE_LIMIT", "off"), ("RATE_LIMIT_USER", "off")]);
        let server = Process::serve_with_log(command, File::create(directory.path().join("log"))?).await?;
        let token = sign_in_admin(&server.base_url).await?;
        let address: SocketAddr = server.base_url.trim_start_matches("http://").parse()?;
        let connection = Connection::open(address).await?;
        Ok(Site { store, directory, server, token, connection })
    }
}

/// A server with users.
struct Site {
    store: Store,
    directory: TempDir,
    server: Process,
    token: String,
    connection: Connection,
}

impl Site {
    async fn get(&mut self, path: &str) -> anyhow::Result<&[u8]> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n", self.token);
        let answer = self.connection.exchange(request.as_bytes()).await?;
        ensure!(answer.status == 200, "the server answered: {}", answer.head);
        Ok(answer.body)
    }

    async fn expect_users(&mut self, path: &str, count: usize) -> anyhow::Result<()> {
        let page: Value = serde_json::from_slice(self.get(path).await?)?;
        let found = page["data"].as_array().map_or(0, Vec::len);
        ensure!(found == count, "{path} finds {found} users, not {count}");
        Ok(())
    }

    async fn time(&mut self, path: &str) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.get(path).await?;
        Ok(start.elapsed())
    }

    /// The path of the last full page, and its number.
    async fn last_page(&mut self) -> anyhow::Result<(String, u64)> {
        let (mut path, mut number) = (first_page(), 1);
        loop {
            let page: Value = serde_json::from_slice(self.get(&path).await?)?;
            let full = page["data"].as_array().is_some_and(|users| users.len() == PAGE);
            let Some(cursor) = page["pagination"]["next_cursor"].as_str().filter(|_| full) else { break };
            let next = format!("{}&cursor={cursor}", first_page());
            // The admin is one user more, so the very last page may have only one user.
            let after: Value = serde_json::from_slice(self.get(&next).await?)?;
            if after["data"].as_array().is_none_or(|users| users.len() < PAGE) {
                break;
            }
            (path, number) = (next, number + 1);
        }
        Ok((path, number))
    }

    async fn megabytes(&self) -> anyhow::Result<f64> {
        let Some(file) = self.store.database_url.strip_prefix("sqlite:") else {
            let tables = "SELECT sum(pg_total_relation_size(oid))::float8 FROM pg_class \
                          WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";
            return Ok(connect(&self.store).await?.query_one(tables, &[]).await?.get::<_, f64>(0) / 1e6);
        };
        #[expect(clippy::cast_precision_loss, reason = "a size")]
        let bytes = std::fs::metadata(file)?.len() as f64;
        Ok(bytes / 1e6)
    }
}

async fn connect(store: &Store) -> anyhow::Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(&store.database_url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn first_page() -> String {
    format!("/api/v1/users?limit={PAGE}")
}

fn program(store: &Store, directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command
        .current_dir(directory)
        .envs(store.environment())
        .envs(ADMIN_ENVIRONMENT)
        .env("SECRETS", "file:secrets");
    command
}

fn import(store: &Store, directory: &Path, users: u64) -> anyhow::Result<()> {
    let file = directory.join("users.ndjson");
    let mut sample = program(store, directory);
    sample.args(["sample", &users.to_string()]).stdout(File::create(&file)?);
    ensure!(sample.status()?.success(), "the sample could not be written");
    let mut load = program(store, directory);
    let start = Instant::now();
    load.arg("load").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    ensure!(load.status()?.success(), "the sample could not be imported");
    let took = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = users as f64 / took;
    println!("imported {users} users in {took:.1} s ({rate:.0}/s)");
    Ok(())
}

fn print_row(what: &str, one: Vec<Duration>, other: Vec<Duration>, budget: f64) {
    let median = |times| percentile::<Duration>(times, 0.5).as_secs_f64() * 1e3;
    let (one, other) = (median(one), median(other));
    let ratio = other / one;
    let short = if ratio > budget { " (SHORT)" } else { "" };
    println!("| {what} | {one:.2} ms | {other:.2} ms | {ratio:.2}{short} | {budget} |");
}

async fn run(backend: Backend, many: u64) -> anyhow::Result<()> {
    let (few, site) = (Imported::new(backend, FEW).await?, Imported::new(backend, many).await?);
    let (mut few, mut site) = (few.serve().await?, site.serve().await?);
    println!("on disk: {:.0} MB, {:.0} MB\n", few.megabytes().await?, site.megabytes().await?);

    println!("| request | of {FEW} users | of {many} users | ratio | budget |\n|---|---|---|---|---|");
    for (what, path, count) in REQUESTS {
        few.expect_users(path, *count).await?;
        site.expect_users(path, *count).await?;
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for time in 0..TIMES + 10 {
            let pair = (few.time(path).await?, site.time(path).await?);
            if time >= 10 {
                one.push(pair.0);
                other.push(pair.1);
            }
        }
        print_row(what, one, other, 1.2);
    }

    let (last, number) = site.last_page().await?;
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        one.push(site.time(&first_page()).await?);
        other.push(site.time(&last).await?);
    }
    print_row(&format!("of {many}: page 1, page {number}"), one, other, 1.1);
    println!(
        "\nmemory of the servers: {:.1} MB, {:.1} MB",
        few.server.megabytes()?,
        site.server.megabytes()?
    );
    drop((few.directory, site.directory));
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let (backends, many) = arguments::read(&[Backend::Sqlite, Backend::Postgres])?;
    for backend in backends {
        println!("\n{backend:?}");
        tokio::runtime::Runtime::new()?.block_on(run(backend, many.unwrap_or(MANY)))?;
    }
    Ok(())
}
