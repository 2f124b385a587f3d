//! The size of the Lambda functions: measures their zipped size, the time from start to first answer under the
//! Lambda emulator, and their memory when idle. Compares them with a function that only answers hello and is built
//! the same way.
//!
//! Run `cargo bench -p switchyard-local --bench functions` after `eval "$(local/servers env)"`. It builds the
//! functions.

#[path = "../support/statistics.rs"]
mod statistics;

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use statistics::percentile;
use switchyard_harness::emulator::Emulator;
use switchyard_harness::identity::{access_token_of_admin, identity_environment};
use switchyard_harness::process::Process;
use switchyard_harness::store::{Backend, Store};
use zip::write::SimpleFileOptions;

const FUNCTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions");
/// How often each function is started. The function and hello take turns.
const STARTS: usize = 31;

/// Each function with a request, and what it reads from the database to answer it, after the ping at its start.
const REQUESTS: [(&str, &str, &str); 4] = [
    ("switchyard-fn-system", "/readyz", "a ping"),
    ("switchyard-fn-auth", "/.well-known/jwks.json", "the published keys"),
    ("switchyard-fn-accounts", "/api/v1/auth/me", "the window of the rate limit, a user"),
    ("switchyard-fn-users", "/api/v1/users?limit=1", "the window of the rate limit, a list"),
];

fn main() -> anyhow::Result<()> {
    let hello = build(&["-p", "switchyard-local", "--example", "hello"])?.join("examples/hello");
    let names = REQUESTS.map(|(name, _, _)| name);
    let folder = build(&names.map(|name| ["-p", name]).concat())?;
    println!("| | zipped | unzipped |\n|---|---|---|");
    for binary in [hello.clone()].into_iter().chain(names.map(|name| folder.join(name))) {
        let program = std::fs::read(&binary)?;
        let name = binary.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        println!("| {name} | {:.2} MB | {:.2} MB |", megabytes(zipped(&program)?), megabytes(program.len()));
    }
    tokio::runtime::Runtime::new()?.block_on(async {
        for backend in [Backend::DynamoDb, Backend::Postgres] {
            start_on(backend, &folder, &hello).await?;
        }
        let store = Store::fresh(Backend::Sqlite).await?;
        let mut server = Command::new(env!("CARGO_BIN_EXE_switchyard"));
        server.envs(store.environment()).current_dir(folder);
        let server = Process::serve(server).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!("\nmemory of the local server, idle: {:.1} MB", server.megabytes()?);
        Ok(())
    })
}

/// Builds `what` as a deployment does: in `functions`, whose settings optimise for size. Returns the folder of the
/// binaries.
fn build(what: &[&str]) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    ensure!(
        cargo.args(["build", "--release", "--quiet"]).args(what).current_dir(FUNCTIONS).status()?.success()
    );
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(FUNCTIONS).join("../target"), PathBuf::from);
    Ok(target.join("release"))
}

/// The size of the zip archive that a deployment would upload.
fn zipped(program: &[u8]) -> anyhow::Result<usize> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("bootstrap", SimpleFileOptions::default().compression_level(Some(9)))?;
    std::io::Write::write_all(&mut archive, program)?;
    Ok(archive.finish()?.into_inner().len())
}

#[expect(clippy::cast_precision_loss, reason = "a size")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

async fn start_on(backend: Backend, folder: &Path, hello: &Path) -> anyhow::Result<()> {
    let store = Store::migrated(backend).await?;
    let authorization = format!("Bearer {}", access_token_of_admin(&store).await?);
    let environment = [store.environment(), identity_environment()].concat();
    println!(
        "\n| on {backend:?} | request | reads | start to first answer | hello | ratio | memory, idle | hello |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, path, reads) in REQUESTS {
        let (mut ours, mut least) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            ours.push(Start::of(&folder.join(name), &environment, path, &authorization).await?);
            least.push(Start::of(hello, &[], path, &authorization).await?);
        }
        let times = |starts: &[Start]| {
            percentile(starts.iter().map(|start| start.took.as_secs_f64() * 1e3).collect::<Vec<_>>(), 0.5)
        };
        let memory = |starts: &[Start]| {
            percentile(starts.iter().map(|start| start.megabytes).collect::<Vec<_>>(), 0.5)
        };
        let (our, other) = (times(&ours), times(&least));
        println!(
            "| {name} | `{path}` | {reads} | {our:.1} ms | {other:.1} ms | {:.2} | {:.1} MB | {:.1} MB |",
            our / other,
            memory(&ours),
            memory(&least)
        );
    }
    Ok(())
}

/// The measurements of one start of a function.
struct Start {
    took: Duration,
    megabytes: f64,
}

impl Start {
    /// Sends a request to a new emulator, which starts the function at its first request.
    async fn of(
        binary: &Path,
        environment: &[(String, String)],
        path: &str,
        authorization: &str,
    ) -> anyhow::Result<Self> {
        let function = Emulator::start(binary, environment).await?;
        let start = Instant::now();
        let answer = function.invoke("GET", path, &[("authorization", authorization)], "").await?;
        let took = start.elapsed();
        ensure!(answer.status == 200, "{} answered {answer:?}: {}", binary.display(), function.output());
        let megabytes = function.megabytes().context("the function is not running")?;
        Ok(Self { took, megabytes })
    }
}
