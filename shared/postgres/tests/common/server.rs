//! A PostgreSQL server for one test, which the test may crash.

use switchyard_harness::servers::DatabaseServer;
use tokio_postgres::{Client, NoTls};

/// A server that is stopped at the end of the test.
pub struct Server {
    process: DatabaseServer,
    pub url: String,
}

impl Server {
    pub async fn start() -> Self {
        let process = DatabaseServer::start("postgres").await.expect("PostgreSQL starts");
        let variables = process.environment().await.expect("the server reports its address");
        let url = variables.into_iter().find(|(name, _)| name == "TEST_POSTGRES_URL");
        Self { process, url: url.expect("the server reports its URL").1 }
    }

    /// Opens a plain connection, or fails if the server cannot be reached.
    pub async fn client(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Kills the server with all its processes, and waits until it answers again.
    pub async fn crash(&self) {
        self.process.crash().await.expect("the server restarts");
    }

    /// Kills a process that serves a client. The server then terminates all other processes, because their shared
    /// memory may be damaged, and recovers.
    pub async fn crash_one_process(&self) {
        let client = self.client().await.expect("PostgreSQL answers");
        let victim = "select pid from pg_stat_activity where backend_type = 'client backend' \
                      and pid <> pg_backend_pid() order by state = 'idle', random() limit 1";
        let victim: i32 = client.query_one(victim, &[]).await.expect("another client is connected").get(0);
        let kill = format!("copy (select) to program 'kill -KILL {victim}'");
        // This connection is terminated too, before or after the answer.
        let _ = client.batch_execute(&kill).await;
    }
}
