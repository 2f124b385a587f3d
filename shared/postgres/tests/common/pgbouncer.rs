//! PgBouncer in transaction mode, in front of the server.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tokio_postgres::config::Host;

use super::{TestSchema, admin, server_url, until};

/// PgBouncer for one schema. It is stopped when this is dropped.
pub struct PgBouncer {
    process: Child,
    folder: PathBuf,
    port: u16,
    role: String,
}

impl PgBouncer {
    /// Starts PgBouncer with at most `connections` connections to the server. PgBouncer passes no `options` on, so
    /// a role has the schema in its search path.
    pub async fn start(schema: &TestSchema, connections: u32) -> Self {
        let role = format!("{}_role", schema.name);
        let create = format!(
            "create role {role} login password 'secret'; alter role {role} set search_path = {0}; \
             alter schema {0} owner to {role}",
            schema.name
        );
        admin().await.batch_execute(&create).await.expect("the role is created");

        let server: tokio_postgres::Config = server_url().parse().expect("the URL is valid");
        let Host::Tcp(host) = &server.get_hosts()[0] else { panic!("the server for the tests must use TCP") };
        let (server_port, database) =
            (server.get_ports()[0], server.get_dbname().expect("the URL names one"));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("the listener is bound").port();
        drop(listener);

        let folder = std::env::temp_dir().join(&schema.name);
        std::fs::create_dir(&folder).expect("the folder is new");
        let file = folder.join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n\
             switchyard = host={host} port={server_port} dbname={database} user={role} password=secret\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = transaction\n\
             default_pool_size = {connections}\n\
             max_client_conn = 200\n"
        );
        std::fs::write(&file, settings).expect("the file is written");
        let program = std::env::var("TEST_PGBOUNCER").expect(
            "TEST_PGBOUNCER is not set: run `local/servers start`, then `eval \"$(local/servers env)\"`, and test \
             again",
        );
        let mut command = Command::new(program);
        command.arg("--quiet").stdin(Stdio::null());
        // PgBouncer refuses to run as root.
        if is_root() {
            command.args(["--user", "nobody"]);
        }
        let process = command.arg(&file).spawn().expect("PgBouncer starts");
        let bouncer = Self { process, folder, port, role };
        until(async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        bouncer
    }

    /// Returns the URL of the database through PgBouncer, with these parameters.
    pub fn url(&self, parameters: &str) -> String {
        format!("postgres://someone@127.0.0.1:{}/switchyard?{parameters}", self.port)
    }

    /// The name of the role as which PgBouncer logs in.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Stops PgBouncer and drops the schema.
    pub async fn close(mut self, schema: TestSchema) {
        self.process.kill().expect("PgBouncer is running");
        self.process.wait().expect("PgBouncer is a child of this process");
        let client = admin().await;
        until(async || {
            let sessions = "select count(*) from pg_stat_activity where usename = $1";
            client.query_one(sessions, &[&self.role]).await.expect("PostgreSQL answers").get::<_, i64>(0) == 0
        })
        .await;
        schema.drop().await;
        let drop = format!("drop owned by {0}; drop role {0}", self.role);
        client.batch_execute(&drop).await.expect("the role is dropped");
    }
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
