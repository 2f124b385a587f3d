//! Sends ten minutes of mixed traffic to each database, at 80 % of the highest sustainable rate. Halfway through,
//! kills and restarts the database. Clients check each answer. Afterwards every acknowledged write must exist.
//!
//! Run `cargo bench -p switchyard-local --bench endurance`. Optional arguments after `--` are the name of one database
//! (sqlite, postgres, dynamodb) and the duration in seconds instead of 600. The variable `RATE` sets the number of requests a
//! second, to compare with an earlier run; otherwise the highest one is looked for. Prints the results, and writes a graph:
//! `endurance-sqlite.svg` and so on.

#[path = "../support/arguments.rs"]
mod arguments;
mod chart;
#[path = "../support/http.rs"]
mod http;
mod site;
#[path = "../support/statistics.rs"]
mod statistics;
mod traffic;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures::future::{join_all, try_join_all};
use serde_json::Value;
use site::Site;
use statistics::percentile;
use switchyard_harness::store::Backend;
use traffic::{Client, Pace, Sample};

const CLIENTS: usize = 64;
/// How long each rate is tried.
const TRIAL: Duration = Duration::from_secs(60);
/// A rate is sustainable if 99 of 100 requests are answered within this time after they were due.
const BOUND: Duration = Duration::from_millis(100);
/// The share of the highest sustainable rate that is sent. The rest is for the backlog after the crash.
const SHARE: f64 = 0.8;
/// For how many seconds after the restart of the database requests may fail, because broken connections are
/// detected one by one.
const GRACE: f64 = 5.0;

fn main() -> anyhow::Result<()> {
    let (backends, seconds) = arguments::read(&Backend::ALL)?;
    let length = Duration::from_secs(seconds.unwrap_or(600));
    let rate =
        std::env::var("RATE").ok().map(|rate| rate.parse()).transpose().context("RATE must be a number")?;
    for backend in backends {
        tokio::runtime::Runtime::new()?.block_on(endure(backend, length, rate))?;
    }
    Ok(())
}

async fn endure(backend: Backend, length: Duration, rate: Option<f64>) -> anyhow::Result<()> {
    let site = Arc::new(Site::start(backend).await?);
    let admin = site.admin_token().await?;
    let clients = (0..CLIENTS).map(|number| Client::register(Arc::clone(&site), number, &admin));
    let clients = try_join_all(clients).await?;

    let (clients, rate) = match rate {
        Some(rate) => (clients, rate),
        None => {
            let (clients, rate) = highest_rate(clients).await?;
            println!("{backend:?}: {rate:.0} requests/s are sustainable for a minute");
            (clients, rate * SHARE)
        }
    };

    let admin = site.admin_token().await?;
    let mut run = Run::of(Arc::clone(&site), clients, &admin, rate, length).await?;
    run.samples.sort_by(|one, other| one.at.total_cmp(&other.at));
    run.report();
    let file = format!("benches/endurance-{}.svg", backend.name());
    let graph = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    chart::draw(&run, &graph)?;
    println!("wrote the graph to {}", graph.display());

    let admin = site.admin_token().await?;
    run.settle(&site, &admin).await?;
    run.check()
}

/// Sends requests from all clients and returns the outcome of each request.
async fn send(
    clients: Vec<Client>,
    rate: Option<f64>,
    length: Duration,
) -> anyhow::Result<(Vec<Client>, Vec<Sample>)> {
    #[expect(clippy::cast_precision_loss, reason = "a few clients")]
    let interval = rate.map(|rate| Duration::from_secs_f64(CLIENTS as f64 / rate));
    let pace = Pace { start: Instant::now(), length, interval };
    let running = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let samples = client.run(pace).await;
            (client, samples)
        })
    });
    let (mut clients, mut samples) = (Vec::new(), Vec::new());
    for ran in join_all(running.collect::<Vec<_>>()).await {
        let (client, of_client) = ran?;
        clients.push(client);
        samples.extend(of_client);
    }
    Ok((clients, samples))
}

/// Finds the highest sustainable rate. Measures the throughput when each client sends one request after the other,
/// then tries decreasing shares of it.
async fn highest_rate(clients: Vec<Client>) -> anyhow::Result<(Vec<Client>, f64)> {
    let (mut clients, samples) = send(clients, None, TRIAL).await?;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let most = samples.len() as f64 / TRIAL.as_secs_f64();
    println!("maximum throughput: {most:.0} requests/s");
    for share in [0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4] {
        let rate = most * share;
        let (back, samples) = send(clients, Some(rate), TRIAL).await?;
        clients = back;
        let p99 = percentile(samples.iter().map(|sample| sample.latency).collect(), 0.99);
        println!("at {rate:.0} requests/s: p99 {:.1} ms", milliseconds(p99));
        if p99 <= BOUND && !samples.iter().any(|sample| sample.failed) {
            return Ok((clients, rate));
        }
    }
    bail!("no rate is sustainable")
}

/// The measurements of the main run.
pub(crate) struct Run {
    clients: Vec<Client>,
    pub(crate) samples: Vec<Sample>,
    /// Seconds after the start, and megabytes.
    pub(crate) memory: Vec<(f64, f64)>,
    /// When the database was killed, and when it was running again: seconds after the start.
    pub(crate) down: (f64, f64),
    pub(crate) length: Duration,
}

impl Run {
    async fn of(
        site: Arc<Site>,
        mut clients: Vec<Client>,
        admin: &str,
        rate: f64,
        length: Duration,
    ) -> anyhow::Result<Self> {
        for client in &mut clients {
            client.use_admin_token(admin);
        }
        let start = Instant::now();
        let is_over = AtomicBool::new(false);
        let traffic = async {
            let sent = send(clients, Some(rate), length).await;
            is_over.store(true, Ordering::Relaxed);
            sent
        };
        let crash = async {
            tokio::time::sleep(length / 2).await;
            let killed = start.elapsed().as_secs_f64();
            site.crash().await?;
            anyhow::Ok((killed, start.elapsed().as_secs_f64()))
        };
        let watch = async {
            let mut memory = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                memory.extend(site.megabytes().map(|megabytes| (start.elapsed().as_secs_f64(), megabytes)));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            memory
        };
        let (sent, crashed, memory) = tokio::join!(traffic, crash, watch);
        let (clients, samples) = sent?;
        Ok(Self { clients, samples, memory, down: crashed?, length })
    }

    fn report(&self) {
        let (killed, back) = self.down;
        let failed: Vec<_> = self.samples.iter().filter(|sample| sample.failed).collect();
        println!(
            "{} requests, {} of them failed; the database was killed after {killed:.1} s and back {:.1} s later",
            self.samples.len(),
            failed.len(),
            back - killed
        );
        if let (Some(first), Some(last)) = (failed.first(), failed.last()) {
            let end = last.at + last.latency.as_secs_f64();
            println!(
                "the first failed request started {:+.1} s after the kill, the last one ended {:+.1} s after it",
                first.at - killed,
                end - killed
            );
        }
        let length = self.length.as_secs_f64();
        for (when, from, to) in [("before", 0.0, killed), ("after", back + GRACE, length)] {
            let of_time = self.samples.iter().filter(|sample| (from..to).contains(&sample.at));
            let latencies: Vec<_> = of_time.map(|sample| sample.latency).collect();
            let at = |share| milliseconds(percentile(latencies.clone(), share));
            println!("{when}: p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms", at(0.5), at(0.99), at(0.999));
        }
        for (when, at) in [
            ("after a minute", 60.0),
            ("before the kill", killed - 2.0),
            ("a minute after it", back + 60.0),
            ("at the end", length),
        ] {
            if let Some((_, megabytes)) = self.memory.iter().take_while(|(time, _)| *time <= at).last() {
                println!("memory {when}: {megabytes:.1} MB");
            }
        }
    }

    /// Checks that every acknowledged write exists.
    async fn settle(&mut self, site: &Site, admin: &str) -> anyhow::Result<()> {
        let (mut users, mut settled) = (1, 0);
        for client in &mut self.clients {
            client.use_admin_token(admin);
            let (of_client, unsure) = client.settle().await?;
            users += of_client;
            settled += unsure;
        }
        let api = reqwest::Client::new();
        let get = async |path: String| {
            let url = format!("http://{}/api/v1{path}", site.address());
            anyhow::Ok(
                api.get(url).bearer_auth(admin).send().await?.error_for_status()?.json::<Value>().await?,
            )
        };
        let counted = get("/users/stats".to_owned()).await?["total"].clone();
        println!("{users} users known, {counted} counted; {settled} unanswered writes resolved");
        ensure!(counted == users, "the number of users is {counted}, not {users}");
        let start = Instant::now();
        let (mut path, mut entries) = ("/audit-logs/verify".to_owned(), 0);
        loop {
            let part = get(path).await?;
            ensure!(part["valid"] == true, "the audit log is invalid: {part}");
            entries += part["entries"].as_u64().context("the number of entries is missing")?;
            let Some(next) = part["next_cursor"].as_str() else { break };
            path = format!("/audit-logs/verify?cursor={next}");
        }
        println!("{entries} entries of the audit log verified in {:.1} s", start.elapsed().as_secs_f64());
        Ok(())
    }

    fn check(&self) -> anyhow::Result<()> {
        let (killed, back) = self.down;
        let wrong: Vec<_> = self.clients.iter().flat_map(|client| &client.wrong).collect();
        let is_far = |sample: &&Sample| {
            let end = sample.at + sample.latency.as_secs_f64();
            sample.failed && (end < killed || sample.at > back + GRACE)
        };
        let strange = self.samples.iter().filter(is_far).count();
        for answer in wrong.iter().take(10) {
            println!("{answer}");
        }
        println!("{} wrong answers; {strange} failures not caused by the crash", wrong.len());
        ensure!(wrong.is_empty() && strange == 0, "some answers were wrong or failed");
        Ok(())
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
