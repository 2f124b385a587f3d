//! Gives each test its own schema on the PostgreSQL of `local/servers`.
#![expect(dead_code, unreachable_pub, reason = "each test uses what it needs")]

pub mod pgbouncer;
pub mod proxy;
pub mod server;

use std::time::Duration;

use switchyard_ambient::Ambient;
use switchyard_database::Error;
use switchyard_postgres::Postgres;
use tokio_postgres::{Client, NoTls};

/// Returns the URL of the PostgreSQL for the tests.
pub fn server_url() -> String {
    std::env::var("TEST_POSTGRES_URL").expect(
        "TEST_POSTGRES_URL is not set: run `local/servers start`, then `eval \"$(local/servers env)\"`, and \
         test again",
    )
}

/// A schema, which [`TestSchema::drop`] drops.
#[derive(Clone, Debug)]
pub struct TestSchema {
    pub name: String,
}

impl TestSchema {
    pub async fn create() -> Self {
        let name = format!("test_{}", Ambient::system().uuid_v7().simple());
        admin().await.batch_execute(&format!("create schema {name}")).await.expect("the schema is created");
        Self { name }
    }

    /// Returns the URL of the schema, with additional parameters.
    pub fn url(&self, parameters: &str) -> String {
        self.at(&server_url(), parameters)
    }

    /// Like [`TestSchema::url`], for another URL of the server.
    pub fn at(&self, server: &str, parameters: &str) -> String {
        let sign = if server.contains('?') { '&' } else { '?' };
        format!("{server}{sign}options=-c%20search_path%3D{}&{parameters}", self.name)
    }

    pub async fn open(&self, ambient: Ambient) -> Postgres {
        Postgres::connect(&self.url(""), ambient).await.expect("the URL is valid")
    }

    /// Opens a plain connection with the schema in its search path.
    pub async fn client(&self) -> Client {
        let client = admin().await;
        client.batch_execute(&format!("set search_path = {}", self.name)).await.expect("the schema exists");
        client
    }

    pub async fn drop(&self) {
        let client = admin().await;
        let drop = format!("set client_min_messages = warning; drop schema if exists {} cascade", self.name);
        client.batch_execute(&drop).await.expect("the schema is dropped");
    }
}

/// Opens a plain connection to the server.
pub async fn admin() -> Client {
    let (client, connection) =
        tokio_postgres::connect(&server_url(), NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

/// Waits until `is_so` returns `true`.
pub async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "the condition was not met in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Returns the message of an `Invalid` error.
pub fn invalid(error: Error) -> String {
    match error {
        Error::Invalid(message) => message,
        other => panic!("not Invalid: {other:?}"),
    }
}
