//! A new, empty store on each backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use switchyard_ambient::Ambient;
use switchyard_database::{Database, Schema};
use switchyard_dynamodb::DynamoDb;
use switchyard_postgres::Postgres;
use switchyard_sqlite::Sqlite;

use crate::required;

/// The databases that everything is tested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Embedded.
    Sqlite,
    /// The server of `TEST_POSTGRES_URL`.
    Postgres,
    /// The server of `TEST_DYNAMODB_ENDPOINT`.
    DynamoDb,
}

impl Backend {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::DynamoDb];

    /// The name in commands and files: `sqlite`, `postgres` or `dynamodb`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::DynamoDb => "dynamodb",
        }
    }
}

/// A store for a single test.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
    /// The address, in the form of `DATABASE_URL`.
    pub database_url: String,
    directory: tempfile::TempDir,
}

impl Store {
    /// An empty store. Nothing is migrated yet.
    pub async fn fresh(backend: Backend) -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = tempfile::tempdir()?;
        let database_url = match backend {
            Backend::Sqlite => format!("sqlite:{}", directory.path().join("switchyard.db").display()),
            Backend::Postgres => {
                let url = required("TEST_POSTGRES_URL");
                postgres_execute(
                    &url,
                    &format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}"),
                )
                .await?;
                let separator = if url.contains('?') { '&' } else { '?' };
                format!("{url}{separator}options=-c%20search_path%3D{name}")
            }
            Backend::DynamoDb => format!("dynamodb://{}", name.replace('_', "-")),
        };
        Ok(Self { backend, database_url, directory })
    }

    /// A store with the tables of the whole project.
    pub async fn migrated(backend: Backend) -> anyhow::Result<Self> {
        let store = Self::fresh(backend).await?;
        let schema = Schema::new(switchyard_program::collections())?;
        store.open(Ambient::system()).await?.migrate(&schema).await?;
        Ok(store)
    }

    /// Opens the store with its own clock and randomness.
    pub async fn open(&self, ambient: Ambient) -> anyhow::Result<Arc<dyn Database>> {
        Ok(match self.backend {
            Backend::Sqlite => Arc::new(Sqlite::open(self.directory.path().join("switchyard.db"), ambient)?),
            Backend::Postgres => Arc::new(Postgres::connect(&self.database_url, ambient).await?),
            Backend::DynamoDb => {
                let prefix =
                    self.database_url.strip_prefix("dynamodb://").context("the URL has another scheme")?;
                Arc::new(DynamoDb::connect(prefix, ambient).await?)
            }
        })
    }

    /// The environment variables that a process needs to use this store.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut variables = vec![("DATABASE_URL".to_owned(), self.database_url.clone())];
        if self.backend == Backend::DynamoDb {
            variables.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), required("TEST_DYNAMODB_ENDPOINT")));
            for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
                variables.push((name.to_owned(), required(name)));
            }
        }
        variables
    }
}

/// DynamoDB Local keeps a thread for each table whose items can expire, and has ten threads in all. With the tables of many
/// finished tests, none would be left to build an index.
impl Drop for Store {
    fn drop(&mut self) {
        let Some(prefix) = self.database_url.strip_prefix("dynamodb://").map(str::to_owned) else { return };
        // On a thread of its own, because the caller may already be in a runtime.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(drop_tables(&prefix))
        });
        if let Ok(Err(fault)) = dropped.join() {
            eprintln!("the tables of {} are left behind: {fault:#}", self.database_url);
        }
    }
}

async fn drop_tables(prefix: &str) -> anyhow::Result<()> {
    let database = DynamoDb::connect(prefix, Ambient::system()).await?;
    let client = database.client();
    let beginning = format!("{prefix}-");
    let mut after = Some(beginning.clone());
    while let Some(start) = after {
        let page = client.list_tables().exclusive_start_table_name(start).send().await?;
        let names = page.table_names();
        for name in names.iter().take_while(|name| name.starts_with(&beginning)) {
            client.delete_table().table_name(name).send().await?;
        }
        let is_beyond = names.last().is_none_or(|name| !name.starts_with(&beginning));
        after = page.last_evaluated_table_name.filter(|_| !is_beyond);
    }
    Ok(())
}

async fn postgres_execute(url: &str, statements: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    client.batch_execute(statements).await?;
    drop(client);
    connection.await??;
    Ok(())
}
