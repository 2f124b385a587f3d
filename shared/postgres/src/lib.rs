//! An implementation of the [`Database`] contract on PostgreSQL.
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
//! These tables and views are stored in the first schema of the search path:
//!
//! | name | contents |
//! |---|---|
//! | `users` | the documents: `id`, `version`, `doc` (jsonb), `expires_at` (microseconds since 1970), `layout` (a hash of the declaration under which the row was written), then for each index a column `index$<name>$<digest>` and for each unique attribute a column `unique$<name>$<digest>` with the encoded key, or null if the document has none. The digest is a hash of the declaration, so a changed declaration gets a new column |
//! | `users$terms$<digest>` | the search terms, in search order |
//! | `users_view` | a view for people and reports: the declared fields as columns, times as timestamps, without expired documents |
//! | `switchyard$structures` | which of these columns and tables exist, and since when a column or table is no longer declared |
//!
//! # Connections
//!
//! Writes, and reads of several documents, use a connection exclusively. Up to eight reads of one document, by its
//! id or a unique value, share a connection, as long as it answers within a millisecond. If all connections are in
//! use, any number of such reads share the connections that serve other reads, unless another caller is waiting
//! for a connection.
//!
//! One slow or locked table does not take the others down. Of 10 connections, 2 are reserved for reads of one
//! document and for [`ping`](Database::ping), and the callers of one table have at most 6 of the other 8 and 1 of
//! the reserve. A pool of less than 4 connections has no such limits. A call waits for a connection for at most 5
//! seconds, and then fails with [`Throttled`](switchyard_database::Error::Throttled). It has then waited long
//! enough: until a connection becomes free, further calls fail at once.
//!
//! If the caller of a statement has gone, the statement is cancelled, and its connection is closed. It counts as
//! used until then. A connection that several reads share is cancelled when the last of them has gone.
//!
//! # Time limits
//!
//! Nothing outlives its client on the server by more than seconds, not even that of an instance that is frozen with
//! its connections open. The server rolls back a transaction that waits for its client for 3 seconds. A statement
//! waits for a lock for at most 5 seconds; a write then fails with
//! [`Contended`](switchyard_database::Error::Contended), and a read, which waits only if the whole table is locked,
//! with [`Unavailable`](switchyard_database::Error::Unavailable). A statement is cancelled after `statement_timeout`,
//! and within seconds after its connection was closed. A server that cannot send its answer for 10 seconds ends the
//! session. The last two need a server on Linux.
//!
//! # What a commit costs
//!
//! One operation on one document is one statement and one round trip. Every other batch takes two round trips: the
//! first one locks and reads everything that the batch names, the second one writes. A batch that only checks
//! takes one. `commit/mod.rs` explains why this is strictly serializable.
//!
//! # When a reply is lost
//!
//! The server process of the lost connection is terminated, and then the status of the transaction and the stored
//! versions show whether the write was applied. Behind a proxy that pools transactions the process is unknown, and
//! so the outcome is unknown more often.
//!
//! # Behind a proxy that pools transactions
//!
//! PgBouncer in transaction mode, Supavisor and RDS Proxy give each transaction another connection to the server.
//! Such a proxy is recognized when the first connection is opened: the server process has another number than the
//! proxy announced. Statements are then not prepared, sessions have no settings, and each transaction of several
//! requests sets its time limits itself. If prepared statements turn out to be lost, that is done too, and the call
//! is repeated.
//!
//! | proxy | the URL |
//! |---|---|
//! | PgBouncer in transaction mode | nothing, or `pgbouncer=true`. `prepare=on` if it is version 1.21 or later and has a `max_prepared_statements` other than 0; with another PgBouncer, `prepare=on` may execute a statement that another client has prepared |
//! | Supavisor (port 6543) | nothing, or `pgbouncer=true`, as in the URL that Supabase shows |
//! | RDS Proxy | nothing, or `prepare=off`. Its certificates are from a public authority, so `sslrootcert` is not needed |
//! | PgBouncer in session mode, and other proxies that keep a connection to the server for each client | `prepare=on` |
//!
//! These proxies refuse `options`. Set what belongs to a session for the role instead. The last three limits apply
//! to statements that are transactions of their own:
//!
//! ```sql
//! alter role shop set search_path = shop;
//! alter role shop set plan_cache_mode = force_generic_plan;
//! alter role shop set enable_seqscan = off;
//! alter role shop set enable_bitmapscan = off;
//! alter role shop set jit = off;
//! alter role shop set statement_timeout = '20s';
//! alter role shop set lock_timeout = '5s';
//! alter role shop set idle_in_transaction_session_timeout = '3s';
//! ```
//!
//! Building an index on a large table can take longer than such a `statement_timeout`. Migrate over a direct
//! connection, or as another role.
//!
//! # Migrations
//!
//! Programs continue to read and write during a migration, and programs with the previous declarations continue to
//! work for a day. Their writes after the migration are missing from the new indexes and unique attributes until
//! the next migration: migrate once more when their last instance has ended.
//!
//! A program on a database that is up to date needs fewer rights than the migration: `usage` on the schema, and `select`,
//! `insert`, `update` and `delete` on its tables. Migrate with the role that owns the tables, grant these to the role of the
//! program (`alter default privileges` grants them on later tables too), and migrate first when the declarations change.
//!
//! # The URL
//!
//! In the URL, characters such as `@`, `/` and `%` of a password are percent-encoded. If the URL contains no password, it is
//! the value of `PGPASSWORD`, as it is, like in the programs of PostgreSQL.
//!
//! Besides the parameters of tokio-postgres (`options`, `application_name`, `connect_timeout`,
//! `target_session_attrs`, …), these are supported:
//!
//! | parameter | meaning | default |
//! |---|---|---|
//! | `sslmode` | `disable`: no TLS; `prefer`: TLS if the certificate of the server can be verified, else no TLS; `require`, `verify-full`: TLS, and the certificate must be valid for the host. `disable` and `prefer` log a warning if the server is on another machine | `verify-full`; `prefer` if the server is on this machine (`localhost`, a loopback address, a Unix socket) |
//! | `sslrootcert` | a PEM file with the certificate authorities to trust instead of those of the machine. `rds`: those of Amazon RDS, from the file [`global-bundle.pem`](https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem) in the folder of the program, in `/opt` (a Lambda layer) or in `/etc/ssl/certs` | |
//! | `max_connections` | the maximum number of connections | 10; on Lambda the number of requests that an instance handles at once (`AWS_LAMBDA_MAX_CONCURRENCY`), or 1 if that is not set |
//! | `prepare` | `off`: there is a proxy that pools transactions. `on`: prepared statements can be used, with or without such a proxy | on, unless a proxy is recognized |
//! | `pgbouncer` | `true`: the same as `prepare=off` | |
//! | `statement_timeout` | the number of seconds after which the server cancels a statement; 0: never. It should be less than a request may take | 20 |

mod attempts;
mod commit;
mod fault;
mod hash;
mod limits;
mod migrate;
mod names;
mod pool;
mod proxy;
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
use switchyard_database::retry::Budget;
use switchyard_database::{
    Addition, Batch, Consistency, Database, Document, Key, Page, Query, Result, Scan, Schema, Search,
    UniqueKey, Version, paging,
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
    /// Clones share it, so that it bounds the retries of a whole program.
    budget: Arc<Budget>,
}

impl Postgres {
    /// Returns the database at `url`. Connections are opened when they are needed.
    ///
    /// # Errors
    ///
    /// Fails with [`Invalid`](switchyard_database::Error::Invalid) if the URL cannot be used. A server that does
    /// not answer is not an error here; [`ping`](Database::ping) reports it.
    pub async fn connect(url: &str, ambient: Ambient) -> Result<Self> {
        let pool = Pool::new(Settings::parse(url)?, ambient.clone())?;
        Ok(Self { pool, tables: Arc::default(), ambient, budget: Arc::default() })
    }
}

/// Shows where the database is, without the password.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("pool", &self.pool).finish_non_exhaustive()
    }
}

#[async_trait]
impl Database for Postgres {
    async fn migrate(&self, schema: &Schema) -> Result<()> {
        self.migrate_schema(schema).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>> {
        self.read_one(key).await
    }

    async fn get_many(&self, keys: &[Key], _consistency: Consistency) -> Result<Vec<Option<Document>>> {
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

    async fn add(&self, addition: &Addition) -> Result<i64> {
        self.add_to_tally(addition).await
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        self.sweep(at_most).await
    }

    async fn ping(&self) -> Result<()> {
        self.pool.ping().await.map_err(fault::Fault::into_error)
    }
}
