//! The [`Database`] contract on PostgreSQL.
//!
//! ```no_run
//! use switchyard_ambient::Ambient;
//! use switchyard_database::{Collection, Database, Key, Schema};
//! use switchyard_postgres::Postgres;
//!
//! const NOTES: &Collection = &Collection::new("notes");
//!
//! # async fn example() -> switchyard_database::Result<()> {
//! let db = Postgres::connect("postgres://shop:secret@localhost/shop", Ambient::system()).await?;
//! db.migrate(&Schema::new([NOTES])?).await?;
//! let note = db.get(&Key::new(NOTES, "n-1")?).await?;
//! # drop(note);
//! # Ok(())
//! # }
//! ```
//!
//! # What is stored
//!
//! In the first schema of the search path:
//!
//! | name | what |
//! |---|---|
//! | `users` | the documents: `id`, `version`, `doc` (jsonb), `expires_at` (microseconds since 1970), `layout` (a hash of the declaration that the row was written under), then a column `index$<name>$<digest>` for each index and `unique$<name>$<digest>` for each unique attribute: the encoded key, null where the document is not in it. The digest is one of the declaration: a changed one gets a column of its own |
//! | `users$terms$<digest>` | the search terms, in the order in which a search finds them |
//! | `users_view` | for people and reports: the declared fields as columns, times as such; what has expired is not in it |
//! | `switchyard$structures` | which of these columns and tables there are, and since when one is no longer declared |
//!
//! # Connections
//!
//! Whoever writes, lists or searches has a connection alone meanwhile. Those who read one document, by its id or a unique
//! value, share one, up to eight of them, as long as it answers within a millisecond; and where all connections are in use,
//! any number of them share those by which others read, unless somebody waits for one.
//!
//! # What a commit costs
//!
//! One operation on one document is one statement, and so one round trip; whatever else is two, the first to lock and
//! read everything that the batch names, the second to write it. A batch that only checks is one. How that is strictly
//! serializable stands in `commit/mod.rs`.
//!
//! # When a reply is lost
//!
//! The server's process behind the lost connection is ended, and then the transaction's status and the stored versions
//! tell what became of it. Behind a proxy that pools transactions (`prepare=off`) the process is not known, and more
//! often the outcome is not either.
//!
//! # Migrations
//!
//! Programs go on reading and writing meanwhile, and one that still has the declarations of before goes on for a day.
//! What it writes after the migration is not in the new indexes and unique attributes until the next migration: migrate
//! once more when the last of its instances has ended.
//!
//! # The URL
//!
//! Beside the parameters that tokio-postgres reads (`options`, `application_name`, `connect_timeout`,
//! `target_session_attrs`, …) these are understood:
//!
//! | parameter | meaning | unless given |
//! |---|---|---|
//! | `sslmode` | `disable`; `prefer`: TLS where the server has a certificate that can be verified, else none; `require`, `verify-full`: verified TLS | `prefer` |
//! | `sslrootcert` | a PEM file of the authorities to trust, in the place of the machine's | |
//! | `max_connections` | connections at the most | 10; on Lambda as many as an instance answers requests at once (`AWS_LAMBDA_MAX_CONCURRENCY`), else 1 |
//! | `prepare` | `off`: no named prepared statements and no session settings, for a transaction-mode proxy | `on` |
//! | `statement_timeout` | seconds after which the server gives up a statement; 0: never | 30 |

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
