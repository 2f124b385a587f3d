//! graphile-worker, a queue on PostgreSQL for Node.js, which the benchmark compares with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use switchyard_harness::required;

/// Stores and does this number of jobs. Returns both rates, in jobs per second.
pub(crate) async fn graphile(number: usize, concurrency: usize) -> anyhow::Result<(f64, f64)> {
    let folder = install()?;
    let mut node = Command::new("node");
    node.arg("graphile.js").current_dir(folder).env("DATABASE_URL", required("TEST_POSTGRES_URL"));
    node.env("JOBS", number.to_string()).env("CONCURRENCY", concurrency.to_string());
    let output = tokio::task::spawn_blocking(move || node.output()).await??;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "graphile-worker failed: {errors}");
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().last().context("graphile-worker printed nothing")?;
    let rates: Value = serde_json::from_str(line)?;
    let rate = |name: &str| rates[name].as_f64().with_context(|| format!("{name} is missing in {line}"));
    Ok((rate("stored")?, rate("done")?))
}

fn install() -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/jobs/peer");
    if !folder.join("node_modules").exists() {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder);
        let status = npm.status().context("npm is missing: install Node.js 20 or later")?;
        ensure!(status.success(), "npm could not install graphile-worker");
    }
    Ok(folder)
}
