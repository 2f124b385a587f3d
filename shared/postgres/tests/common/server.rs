//! A PostgreSQL of a test's own, which may be crashed.

use switchyard_harness::servers::DatabaseServer;
use tokio_postgres::{Client, NoTls};

/// A server that ends with the test that started it.
pub struct Server {
    process: DatabaseServer,
    pub url: String,
}

impl Server {
    pub async fn start() -> Self {
        let process = DatabaseServer::start("postgres").await.expect("PostgreSQL starts");
        let variables = process.environment().await.expect("the server tells where it is");
        let url = variables.into_iter().find(|(name, _)| name == "TEST_POSTGRES_URL");
        Self { process, url: url.expect("the server's URL is told").1 }
    }

    /// A plain connection, where the server can be reached.
    pub async fn client(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Kills the server with all its processes, and waits until it answers again.
    pub async fn crash(&self) {
        self.process.crash().await.expect("the server comes back");
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
}
