//! A database server for a single test, which may crash it.

use std::net::TcpListener;
use std::process::Command;

use anyhow::{Context as _, ensure};
use switchyard_ambient::Ambient;

const SERVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../servers");

/// One of the servers of `local/servers`, with its own data. It is stopped when this is dropped. DynamoDB Local
/// stores its data on disk.
#[derive(Debug)]
pub struct DatabaseServer {
    name: &'static str,
    state: tempfile::TempDir,
    port: u16,
}

impl DatabaseServer {
    /// Starts `postgres` or `dynamodb`, and waits until it answers.
    pub async fn start(name: &'static str) -> anyhow::Result<Self> {
        let server = Self { name, state: tempfile::tempdir()?, port: free_port()? };
        server.run("start").await?;
        Ok(server)
    }

    /// The variables with its address, as `local/servers env` prints them.
    pub async fn environment(&self) -> anyhow::Result<Vec<(String, String)>> {
        let lines = self.run("env").await?;
        let variable = |line: &str| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        Ok(lines.lines().filter_map(variable).collect())
    }

    /// Kills the server with all its processes, starts it again on the same data, and waits until it answers.
    pub async fn crash(&self) -> anyhow::Result<()> {
        self.run("crash").await.map(drop)
    }

    async fn run(&self, verb: &str) -> anyhow::Result<String> {
        let mut command = self.command(verb);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        ensure!(output.status.success(), "local/servers: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(SERVERS);
        command.args([verb, self.name]).env("TEST_SERVERS_DIR", self.state.path());
        command.env(format!("TEST_{}_PORT", self.name.to_uppercase()), self.port.to_string());
        command.env("TEST_DYNAMODB_STORAGE", "disk");
        command
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        let _ = self.command("stop").output();
    }
}

/// Returns a port on which nothing listens. It is outside the range that the system uses for outgoing
/// connections, since such a connection could take it while the server is down.
fn free_port() -> anyhow::Result<u16> {
    let ambient = Ambient::system();
    let ports = std::iter::repeat_with(|| 20_000 + u16::from_le_bytes(ambient.bytes()) % 10_000).take(10_000);
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().context("no port from 20000 to 29999 is free")
}
