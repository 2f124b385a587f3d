//! The Database contract on PostgreSQL.

mod commit;
mod fault;
mod hash;
mod migrate;
mod names;
mod pool;
mod read;
mod session;
mod settings;
mod sql;
mod structure;
mod sweep;
mod table;
mod tls;
mod values;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use switchyard_ambient::Ambient;
use switchyard_database::{
    Batch, Database, Document, Key, Page, Query, Result, Scan, Schema, Search, UniqueKey, Version, paging,
};

use crate::pool::Pool;
use crate::settings::Settings;
use crate::table::Tables;

/// A [`Database`] on PostgreSQL. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Postgres {
    pool: Pool,
    tables: Arc<Tables>,
    ambient: Ambient,
}

impl Postgres {
    /// The database at `url`; connections are made when they are needed.
    ///
    /// # Errors
    ///
    /// [`Invalid`](switchyard_database::Error::Invalid) for a URL that cannot be used. That the server does not answer
    /// is no error here: [`ping`](Database::ping) tells.
    pub async fn connect(url: &str, ambient: Ambient) -> Result<Self> {
        let pool = Pool::new(Settings::parse(url)?, ambient.clone())?;
        Ok(Self { pool, tables: Arc::default(), ambient })
    }
}

/// Says where the database is, without the password.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("pool", &self.pool).finish_non_exhaustive()
    }
}

#[async_trait]
impl Database for Postgres {
    async fn migrate(&self, schema: &Schema) -> Result<()> {
        self.bring_to(schema).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>> {
        self.read_one(key).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Document>>> {
        self.read_many(keys).await
    }

    async fn lookup(&self, unique: &UniqueKey) -> Result<Option<Document>> {
        self.read_owner(unique).await
    }

    async fn query(&self, query: &Query) -> Result<Page> {
        paging::query(self, query).await
    }

    async fn search(&self, search: &Search) -> Result<Page> {
        paging::search(self, search).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        paging::scan(self, scan).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Version>> {
        self.write(batch).await
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        self.sweep(at_most).await
    }

    async fn ping(&self) -> Result<()> {
        let session = self.pool.session().await.map_err(fault::Fault::into_error)?;
        session.client().check_connection().await.map_err(|fault| fault::Fault::from(fault).into_error())
    }
}
