//! The cost of the database contract: compares reads and writes through `Db` with the same statements on bare drivers.
//!
//! Run `cargo bench -p switchyard-local --bench database` after `eval "$(local/servers env)"`. Each comparison
//! alternates between the two sides for several rounds on the same table, so that changes in the machine's speed
//! affect both. It prints the medians.

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/compare.rs"]
mod compare;
#[path = "support/statistics.rs"]
mod statistics;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use compare::{Comparison, tasks};
use serde::{Deserialize, Serialize};
use switchyard_ambient::Ambient;
use switchyard_database::{Collection, Database, Db, Entity, Field, Index, Schema};
use switchyard_harness::store::{Backend, Store};
use tokio::sync::Mutex;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

const DOCUMENTS: u64 = 20_000;

/// Has the shape of an account but no search terms, because the comparison is of single rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Account {
    id: String,
    email: String,
    name: String,
    status: String,
    roles: Vec<String>,
    visits: i64,
    created_at: i64,
    updated_at: i64,
}

impl Entity for Account {
    const COLLECTION: &'static Collection = &Collection::new("bench_accounts")
        .fields(&[Field::string("email"), Field::string("status"), Field::time("created_at")])
        .indexes(&[Index::new("by_creation").sort(&["created_at"])]);

    fn id(&self) -> &str {
        &self.id
    }
}

fn id(number: u64) -> String {
    format!("0190a6f0-0000-7000-8000-{number:012}")
}

fn account(number: u64) -> Account {
    Account {
        id: id(number),
        email: format!("person-{number:07}@example.org"),
        name: "Zoë Brontë".to_owned(),
        status: "active".to_owned(),
        roles: vec!["customer".to_owned(), "merchant".to_owned()],
        visits: 0,
        created_at: 1_700_000_000_000_000 + i64::try_from(number).unwrap_or(0),
        updated_at: 1_700_000_000_000_000,
    }
}

/// Returns the ids in an order that defeats caches.
fn next_id(counter: &AtomicU64) -> String {
    id(counter.fetch_add(1, Ordering::Relaxed).wrapping_mul(7919) % DOCUMENTS)
}

async fn filled(store: &Store) -> anyhow::Result<Db> {
    let ambient = Ambient::system();
    let database: Arc<dyn Database> = store.open(ambient.clone()).await?;
    database.migrate(&Schema::new([Account::COLLECTION])?).await?;
    let db = Db::new(database, ambient);
    for first in (0..DOCUMENTS).step_by(100) {
        db.transact(|tx| async move {
            for number in first..first + 100 {
                tx.insert(&account(number))?;
            }
            Ok::<_, switchyard_database::Error>(())
        })
        .await?;
    }
    Ok(db)
}

async fn get_through(db: &Db, counter: &AtomicU64) -> anyhow::Result<()> {
    let account = db.collection::<Account>().get(&next_id(counter)).await?;
    anyhow::ensure!(account.is_some(), "a document is missing");
    Ok(())
}

async fn transact_through(db: &Db, counter: &AtomicU64) -> anyhow::Result<()> {
    let id = &next_id(counter);
    db.collection::<Account>()
        .update(id, |account| account.visits += 1)
        .await?
        .context("a document is missing")?;
    Ok(())
}

/// A version as stored in its column: sixteen bytes.
#[derive(Debug)]
struct Version([u8; 16]);

impl<'a> FromSql<'a> for Version {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.try_into()?))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID || *kind == Type::BYTEA
    }
}

impl ToSql for Version {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        <Self as FromSql>::accepts(kind)
    }

    to_sql_checked!();
}

async fn on_postgres() -> anyhow::Result<()> {
    const CONNECTIONS: usize = 4;
    let store = Store::fresh(Backend::Postgres).await?;
    let db = &filled(&store).await?;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let (client, connection) =
            tokio_postgres::connect(&store.database_url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        let select =
            client.prepare("SELECT version, doc, expires_at FROM bench_accounts WHERE id = $1").await?;
        let update = client
            .prepare("UPDATE bench_accounts SET version = $3, doc = $4 WHERE id = $1 AND version = $2")
            .await?;
        clients.push(Mutex::new((client, select, update)));
    }
    let clients = &clients;
    let counter = &AtomicU64::new(0);
    let ambient = &Ambient::system();

    Comparison::new("PostgreSQL get", "prepared select on tokio-postgres", 0.9)
        .run(
            || tasks(CONNECTIONS, |_| get_through(db, counter)),
            || {
                tasks(CONNECTIONS, |task| async move {
                    let guard = clients[task].lock().await;
                    let (client, select, _) = &*guard;
                    let row = client.query_one(select, &[&next_id(counter)]).await?;
                    let _: (Version, Option<i64>) = (row.get(0), row.get(2));
                    let account: tokio_postgres::types::Json<Account> = row.get(1);
                    anyhow::ensure!(!account.0.id.is_empty(), "a document is missing");
                    Ok(())
                })
            },
        )
        .await?;
    Comparison::new("PostgreSQL one-document transact", "select, then conditional update by hand", 0.85)
        .run(
            || tasks(CONNECTIONS, |_| transact_through(db, counter)),
            || {
                tasks(CONNECTIONS, |task| async move {
                    let guard = clients[task].lock().await;
                    let (client, select, update) = &*guard;
                    let id = next_id(counter);
                    let row = client.query_one(select, &[&id]).await?;
                    let version: Version = row.get(0);
                    let mut account = row.get::<_, tokio_postgres::types::Json<Account>>(1).0;
                    account.visits += 1;
                    let next = Version(ambient.bytes());
                    let account = tokio_postgres::types::Json(account);
                    client.execute(update, &[&id, &version, &next, &account]).await?;
                    Ok(())
                })
            },
        )
        .await
}

async fn on_sqlite() -> anyhow::Result<()> {
    const WRITERS: usize = 64;
    let store = Store::fresh(Backend::Sqlite).await?;
    let db = &filled(&store).await?;
    let path = store.database_url.strip_prefix("sqlite:").context("the URL does not name a file")?.to_owned();
    let open = || -> anyhow::Result<_> {
        let connection = rusqlite::Connection::open(&path)?;
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000")?;
        Ok(connection)
    };
    let counter = &AtomicU64::new(0);
    let select = "SELECT version, doc, expires_at FROM bench_accounts WHERE id = ?1";

    let connection = &std::sync::Mutex::new(open()?);
    Comparison::new("SQLite get", "the same statement on rusqlite", 0.8)
        .run(
            || tasks(1, |_| get_through(db, counter)),
            || {
                tasks(1, |_| async move {
                    let connection = connection.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
                    let mut statement = connection.prepare_cached(select)?;
                    let account: Account = statement.query_row([next_id(counter)], |row| {
                        let _: (Vec<u8>, Option<i64>) = (row.get(0)?, row.get(2)?);
                        let text = row.get_ref(1)?.as_str()?;
                        serde_json::from_str(text)
                            .map_err(|fault| rusqlite::Error::ToSqlConversionFailure(fault.into()))
                    })?;
                    anyhow::ensure!(!account.id.is_empty(), "a document is missing");
                    Ok(())
                })
            },
        )
        .await?;
    Comparison::new("SQLite one-document transact, 64 writers", "one writer that commits each update", 10.0)
        .run(
            || tasks(WRITERS, |_| transact_through(db, counter)),
            || {
                tasks(1, |_| async move {
                    let connection = connection.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
                    let mut statement =
                        connection.prepare_cached("UPDATE bench_accounts SET version = ?2 WHERE id = ?1")?;
                    statement.execute((next_id(counter), ambient_version()))?;
                    Ok(())
                })
            },
        )
        .await
}

fn ambient_version() -> Vec<u8> {
    Ambient::system().bytes::<16>().to_vec()
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (backends, _) = arguments::read(&[Backend::Sqlite, Backend::Postgres])?;
    backends.into_iter().try_for_each(|backend| match backend {
        Backend::Sqlite => runtime.block_on(on_sqlite()),
        _ => runtime.block_on(on_postgres()),
    })
}
