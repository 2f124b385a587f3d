//! Whether response times reveal which addresses have an account: compares log-ins with a wrong password and
//! registrations for known addresses with those for unknown addresses, in turns.
//!
//! Run `cargo bench -p switchyard-local --bench timing` after `eval "$(local/servers env)"`. An optional argument
//! after `--` is the name of one database (sqlite, postgres, dynamodb). The measure is Welch's t of the two
//! samples, after removing the slowest tenth of both together. A difference is significant if |t| exceeds 4.5:
//! Reparaz, Balasch, Verbauwhede, "Dude, is my code constant time?" (DATE 2017),
//! <https://eprint.iacr.org/2016/1123>.

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
use http::Connection;
use serde_json::{Value, json};
use statistics::percentile;
use switchyard_harness::process::Process;
use switchyard_harness::store::{Backend, Store};

const PASSWORD: &str = "correct-horse-battery-staple-9";
const BOUND: f64 = 4.5;

/// bcrypt costs, and the number of requests of each kind: the default cost, and the minimum, at which everything
/// besides the hash weighs 256 times as much.
const MEASURED: [(u32, usize); 2] = [(12, 200), (4, 4_000)];

fn main() -> anyhow::Result<()> {
    let (backends, _) = arguments::read(&Backend::ALL)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    backends.into_iter().try_for_each(|backend| runtime.block_on(measure(backend)))
}

async fn measure(backend: Backend) -> anyhow::Result<()> {
    println!("| {backend:?} | known | unknown | difference | t |\n|---|---|---|---|---|");
    for (cost, times) in MEASURED {
        let store = Store::fresh(backend).await?;
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
        command.current_dir(folder.path()).envs(store.environment());
        command.envs([("RATE_LIMIT", "off"), ("RATE_LIMIT_USER", "off")]);
        command.env("BCRYPT_COST", cost.to_string());
        let server = Process::serve_with_log(command, File::create(folder.path().join("log"))?).await?;
        let connection = Connection::open(server.base_url.trim_start_matches("http://").parse()?).await?;
        let mut visitor = Visitor { connection };

        // Each address is used once for each kind of request, so that recorded attempts do not slow down any request.
        for number in 0..10 {
            visitor.register(&format!("first{number}"), 201).await?;
        }
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for turn in 0..times {
            // The address registered in this turn is the known address of the next turn.
            let taken = if turn == 0 { "first0".to_owned() } else { format!("made{}", turn - 1) };
            let new = format!("made{turn}");
            if turn % 2 == 0 {
                known.push(visitor.register(&taken, 409).await?);
                unknown.push(visitor.register(&new, 201).await?);
            } else {
                unknown.push(visitor.register(&new, 201).await?);
                known.push(visitor.register(&taken, 409).await?);
            }
        }
        report(&format!("register, cost {cost}"), known, unknown);

        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for turn in 0..times {
            let (made, nobody) = (format!("made{turn}"), format!("nobody{turn}"));
            if turn % 2 == 0 {
                known.push(visitor.guess(&made).await?);
                unknown.push(visitor.guess(&nobody).await?);
            } else {
                unknown.push(visitor.guess(&nobody).await?);
                known.push(visitor.guess(&made).await?);
            }
        }
        report(&format!("log-in, cost {cost}"), known, unknown);
    }
    Ok(())
}

struct Visitor {
    connection: Connection,
}

impl Visitor {
    async fn register(&mut self, name: &str, status: u16) -> anyhow::Result<Duration> {
        let email = format!("{name}@example.org");
        self.post("/auth/register", &json!({"email": email, "password": PASSWORD, "name": "Visitor"}), status)
            .await
    }

    async fn guess(&mut self, name: &str) -> anyhow::Result<Duration> {
        let email = format!("{name}@example.org");
        self.post("/auth/login", &json!({"email": email, "password": "a wrong guess of mine"}), 401).await
    }

    async fn post(&mut self, path: &str, body: &Value, status: u16) -> anyhow::Result<Duration> {
        let body = body.to_string();
        let request = format!(
            "POST /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let start = Instant::now();
        let answer = self.connection.exchange(request.as_bytes()).await?;
        let took = start.elapsed();
        let body = String::from_utf8_lossy(answer.body);
        ensure!(answer.status == status, "expected status {status}: {}\n{body}", answer.head);
        Ok(took)
    }
}

fn report(what: &str, known: Vec<Duration>, unknown: Vec<Duration>) {
    let milliseconds = |share, times| percentile::<Duration>(times, share).as_secs_f64() * 1e3;
    let cut = milliseconds(0.9, [known.clone(), unknown.clone()].concat());
    let (known_median, unknown_median) =
        (milliseconds(0.5, known.clone()), milliseconds(0.5, unknown.clone()));
    let (known, unknown) = (Sample::of(&known, cut), Sample::of(&unknown, cut));
    let difference = known.mean - unknown.mean;
    let t = difference / (known.error + unknown.error).sqrt();
    let noise = if t.abs() <= BOUND { "" } else { " (significant)" };
    println!(
        "| {what} | {known_median:.3} ms | {unknown_median:.3} ms | {difference:+.3} ms | {t:+.1}{noise} |"
    );
}

/// Statistics of times in milliseconds.
struct Sample {
    mean: f64,
    /// The square of the mean's standard error.
    error: f64,
}

impl Sample {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand times")]
    fn of(times: &[Duration], cut: f64) -> Self {
        let times: Vec<_> =
            times.iter().map(|time| time.as_secs_f64() * 1e3).filter(|time| *time <= cut).collect();
        let count = times.len() as f64;
        let mean = times.iter().sum::<f64>() / count;
        let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Self { mean, error: variance / count }
    }
}
