//! A PostgreSQL of a test's own, which may be crashed.

use std::net::TcpListener;
use std::process::{Command, Output};

use switchyard_ambient::Ambient;
use tokio_postgres::{Client, NoTls};

const SERVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../local/servers");

/// A server that ends with the test that started it.
pub struct Server {
    state: tempfile::TempDir,
    port: u16,
    pub url: String,
}

impl Server {
    pub async fn start() -> Self {
        let state = tempfile::tempdir().expect("a folder is made");
        let mut server = Self { state, port: free_port(), url: String::new() };
        server.run("start").await;
        let variables = server.run("env").await;
        let url = variables.trim().strip_prefix("export TEST_POSTGRES_URL=");
        server.url = url.expect("the server's URL is told").to_owned();
        server
    }

    /// A plain connection, where the server can be reached.
    pub async fn client(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Kills the server with all its processes, and waits until it answers again.
    pub async fn crash(&self) {
        self.run("crash").await;
    }

    /// Kills a process that serves a client: the server takes all others down, since what they share may be damaged, and
    /// recovers.
    pub async fn crash_one_process(&self) {
        let client = self.client().await.expect("PostgreSQL answers");
        let victim = "select pid from pg_stat_activity where backend_type = 'client backend' \
                      and pid <> pg_backend_pid() order by state = 'idle', random() limit 1";
        let victim: i32 = client.query_one(victim, &[]).await.expect("somebody is connected").get(0);
        let kill = format!("copy (select) to program 'kill -KILL {victim}'");
        // The one who asks is taken down too, before or after the answer.
        let _ = client.batch_execute(&kill).await;
    }

    async fn run(&self, command: &str) -> String {
        let mut command = self.command(command);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it does not panic");
        text_of(output.expect("local/servers is there"))
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(SERVERS);
        command
            .args([name, "postgres"])
            .env("TEST_SERVERS_DIR", self.state.path())
            .env("TEST_POSTGRES_PORT", self.port.to_string());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.command("stop").output();
    }
}

/// A port that nothing listens on; not one of those that the system gives to connections, which could have it while the
/// server is down.
fn free_port() -> u16 {
    let ambient = Ambient::system();
    let ports = std::iter::repeat_with(|| 20_000 + u16::from_le_bytes(ambient.bytes()) % 10_000);
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("one of ten thousand ports is free")
}

fn text_of(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "local/servers: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
