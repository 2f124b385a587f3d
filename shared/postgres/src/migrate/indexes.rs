//! Builds indexes while other callers write.

use switchyard_database::{Collection, Error};
use tokio_postgres::types::Type;

use super::{stored, transact};
use crate::Postgres;
use crate::fault::{Fault, Outcome};
use crate::names::{self, quoted};
use crate::read::column;
use crate::session::Session;
use crate::sql::Sql;
use crate::structure::{Kind, Structure};
use crate::table::is_live;

/// Tables smaller than this are indexed so quickly that writers can wait. `create index concurrently` does not
/// block writers, but itself waits for all transactions in the database.
const SMALL_BYTES: i64 = 16 * 1024 * 1024;

/// Builds the indexes of structures whose columns are filled, and marks the structures as ready.
pub(super) async fn build(
    database: &Postgres,
    session: &Session,
    collection: &Collection,
    missing: &[&Structure],
) -> Outcome<()> {
    let is_small = is_small(session, collection).await?;
    for structure in missing {
        let ready = stored::note_ready(collection, structure);
        let Some(index) = Index::of(collection, structure) else {
            transact(database, session, &[ready]).await?;
            continue;
        };
        // A previous migration may have left an unfinished index.
        let drop = format!("drop index if exists {}", index.name);
        if structure.kind == Kind::Unique {
            release_expired(database, session, collection, structure).await?;
        }
        let built = if is_small {
            transact(database, session, &[drop, index.create(""), ready]).await
        } else {
            build_concurrently(database, session, &index, &drop, ready).await
        };
        match built {
            Err(Fault::Duplicate) => return Err(duplicate(database, session, collection, structure).await?),
            built => built?,
        }
    }
    Ok(())
}

async fn build_concurrently(
    database: &Postgres,
    session: &Session,
    index: &Index,
    drop: &str,
    ready: String,
) -> Outcome<()> {
    session.batch_execute(drop).await?;
    if let Err(fault) = session.batch_execute(&index.create("concurrently")).await {
        // An unfinished index slows every write and is of no use.
        let _ = session.batch_execute(drop).await;
        return Err(fault.into());
    }
    transact(database, session, &[ready]).await
}

struct Index {
    /// Quoted.
    name: String,
    kind: &'static str,
    /// The table, the columns, and the condition for the rows.
    on: String,
}

impl Index {
    /// Returns the index of a structure. Search terms have one besides their primary key if documents expire.
    fn of(collection: &Collection, structure: &Structure) -> Option<Self> {
        let storage = quoted(&structure.storage(collection.name));
        let table = names::table(collection);
        let (kind, on) = match structure.kind {
            Kind::Index => ("index", format!("{table} ({storage})")),
            Kind::Unique => ("unique index", format!("{table} ({storage})")),
            Kind::Search if collection.expiring => ("index", format!("{storage} (id)")),
            Kind::Search => return None,
            Kind::Expiry => ("index", format!("{table} (expires_at) where expires_at is not null")),
        };
        Some(Self { name: quoted(&structure.index(collection.name)), kind, on })
    }

    fn create(&self, how: &str) -> String {
        format!("create {} {how} {} on {}", self.kind, self.name, self.on)
    }
}

async fn is_small(session: &Session, collection: &Collection) -> Outcome<bool> {
    let sql = Sql::new("select pg_total_relation_size(to_regclass($1)) < $2", &[Type::TEXT, Type::INT8]);
    let rows = session.query(&sql, &[&names::table(collection), &SMALL_BYTES]).await?;
    Ok(rows.first().map(|row| column(row, 0, &collection.name)).transpose()?.unwrap_or_default())
}

/// Removes the unique values of documents that have expired since their columns were filled and are not swept yet.
async fn release_expired(
    database: &Postgres,
    session: &Session,
    collection: &Collection,
    structure: &Structure,
) -> Outcome<()> {
    let (table, value) = (names::table(collection), quoted(&structure.storage(collection.name)));
    let now = database.ambient.now().as_micros();
    let release =
        format!("update {table} set {value} = null where expires_at <= {now} and {value} is not null");
    transact(database, session, &[release]).await
}

/// Returns the error that names two documents with the same value of a new unique attribute. Someone has to decide
/// which document keeps the value.
async fn duplicate(
    database: &Postgres,
    session: &Session,
    collection: &Collection,
    structure: &Structure,
) -> Outcome<Fault> {
    let value = quoted(&structure.storage(collection.name));
    let sql = Sql::new(
        format!(
            "select min(id), max(id) from {} where {value} is not null and {} \
             group by {value} having count(*) > 1 limit 1",
            names::table(collection),
            is_live("$1")
        ),
        &[Type::INT8],
    );
    let rows = session.query(&sql, &[&database.ambient.now().as_micros()]).await?;
    // The duplicates are gone; the next attempt to migrate will succeed.
    let Some(row) = rows.first() else { return Ok(Fault::Contended) };
    let (one, other): (&str, &str) = (column(row, 0, &value)?, column(row, 1, &value)?);
    Ok(Error::not_unique(collection, &structure.name, one, other).into())
}
