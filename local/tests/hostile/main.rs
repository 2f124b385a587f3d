//! Tests the running server against malicious and careless clients, and with a database that does not answer.
//!
//! `HOSTILE_CONNECTIONS` (500) sets the number of concurrent idle connections.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod crowd;
mod early;
mod locked;
mod proxy;
mod requests;
mod slow;
mod stalled;
mod wire;

use std::process::Command;
use std::time::{Duration, Instant};

use switchyard_harness::identity::identity_environment;
use switchyard_harness::process::Process;

/// A server with its own folder.
struct Server {
    process: Process,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server on SQLite with these settings.
    async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_switchyard")), settings).await
    }

    /// Starts a server with a command that runs it, directly or through a shell's `exec`.
    async fn start_by(mut command: Command, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        command.current_dir(folder.path()).env_clear().envs(identity_environment());
        command.envs([("LOG", "error"), ("RATE_LIMIT", "off"), ("RATE_LIMIT_USER", "off")]);
        command.envs(settings.iter().copied());
        Self { process: Process::serve(command).await.unwrap(), folder }
    }

    /// The address that the server listens on.
    fn address(&self) -> &str {
        self.process.base_url.strip_prefix("http://").unwrap()
    }

    /// Sends a GET. Returns the status of the answer, and how long it took.
    async fn get(&self, path: &str) -> (u16, Duration) {
        let asked = Instant::now();
        let answer = reqwest::get(format!("{}{path}", self.process.base_url)).await.unwrap();
        (answer.status().as_u16(), asked.elapsed())
    }

    /// The number of files and connections that the server has open.
    fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    /// The server's resident memory, in KiB.
    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Waits until the server has at most this many files open: until it has closed the connections of the test.
    async fn wait_until_open_files(&self, at_most: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.open_files() > at_most {
            assert!(Instant::now() < deadline, "{} files are open, more than {at_most}", self.open_files());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
