//! Bringing the stored tables to the declared collections, while programs go on reading and writing.
//!
//! Every step can be interrupted and is taken up again by the next call:
//!
//! 1. tables and columns are added, in one short transaction; what a structure is made of is noted as not ready yet;
//! 2. rows of another [layout](crate::layout) get their columns and search terms, a few hundred in a transaction, without
//!    a new version;
//! 3. indexes are built concurrently, and the structures noted as ready;
//! 4. the view for people is brought to the declared fields.
//!
//! A declaration whose meaning changes under the same name is built anew in place. For a change without a gap, give the
//! changed index a new name.

mod backfill;
mod indexes;
mod structures;
mod tables;
mod view;

use std::time::Duration;

use switchyard_database::retry::Backoff;
use switchyard_database::{Collection, Error, Result, Schema};

use crate::Postgres;
use crate::fault::{Fault, Outcome};
use crate::names::{STRUCTURES, literal, quoted};
use crate::session::Session;

/// A statement waits as long as it takes: a large index is large.
const NO_TIMEOUT: Duration = Duration::ZERO;

/// Locks on whole tables are asked for briefly and repeatedly: whoever waits for one makes everybody behind wait, too.
const LOCKING: Backoff =
    Backoff { attempts: 60, base: Duration::from_millis(50), ceiling: Duration::from_secs(2) };

impl Postgres {
    pub(crate) async fn bring_to(&self, schema: &Schema) -> Result<()> {
        check_names(schema)?;
        self.migrating(schema).await.map_err(Fault::into_error)
    }

    async fn migrating(&self, schema: &Schema) -> Outcome<()> {
        // Connections of its own: the pool may have only one.
        let guard = self.pool.connect(NO_TIMEOUT).await?;
        take_turn(&guard).await?;
        let session = self.pool.connect(NO_TIMEOUT).await?;
        prepare(&session).await?;
        for &collection in schema.collections() {
            self.migrate_collection(&session, collection).await?;
        }
        guard.client().batch_execute("commit").await?;
        Ok(())
    }

    async fn migrate_collection(&self, session: &Session, collection: &'static Collection) -> Outcome<()> {
        let declared = structures::declared(collection);
        let stored = structures::stored(session, collection).await?;
        let table = self.tables.of(collection);
        tables::bring(self, session, collection, &declared, &stored).await?;
        backfill::fill(self, session, &table).await?;
        for structure in &declared {
            if !stored.iter().any(|stored| stored.is_ready && stored.is(structure)) {
                indexes::build(session, collection, structure).await?;
                structures::note_ready(session, collection, structure).await?;
            }
        }
        view::bring(self, session, collection).await
    }
}

/// The view of one collection must not be the table of another, and the system's tables hide ours.
fn check_names(schema: &Schema) -> Result<()> {
    for collection in schema.collections() {
        if collection.name.starts_with("pg_") {
            return Err(Error::Invalid(format!(
                "the collection `{}` needs another name: PostgreSQL keeps names that begin with pg_ for itself",
                collection.name
            )));
        }
        if let Some(table) = collection.name.strip_suffix("_view")
            && schema.collections().iter().any(|other| other.name == table)
        {
            return Err(Error::Invalid(format!(
                "the collection `{}` has the name of the view of `{table}`",
                collection.name
            )));
        }
    }
    Ok(())
}

/// One migration at a time for each schema. The lock is a transaction's, not a session's, so that it holds behind a
/// proxy, too; the transaction reads nothing and so keeps nothing alive.
async fn take_turn(guard: &Session) -> Outcome<()> {
    guard
        .client()
        .batch_execute(
            "begin; set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0; \
             select pg_advisory_xact_lock(hashtextextended('switchyard migrate ' || current_schema(), 0))",
        )
        .await?;
    Ok(())
}

async fn prepare(session: &Session) -> Outcome<()> {
    let encoding = session.client().simple_query("show server_encoding").await?;
    let is_utf8 = encoding.iter().any(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0) == Some("UTF8"),
        _ => false,
    });
    if !is_utf8 {
        let message = "the database must have the encoding UTF8: create it with `encoding 'UTF8'`";
        return Err(Error::Invalid(message.to_owned()).into());
    }
    let table = format!(
        "set client_min_messages = warning; create table if not exists {} (collection text, kind text, name text, definition text not null, \
         is_ready boolean not null, primary key (collection, kind, name))",
        quoted(STRUCTURES)
    );
    session.client().batch_execute(&table).await?;
    Ok(())
}

/// Runs statements in one transaction, again when it did not get its locks in time.
async fn transact(database: &Postgres, session: &Session, statements: &[String]) -> Outcome<()> {
    let text = format!("begin; set local lock_timeout = '1s'; {}; commit", statements.join("; "));
    let mut attempt = 1;
    loop {
        let Err(fault) = session.client().batch_execute(&text).await.map_err(Fault::from) else {
            return Ok(());
        };
        session.client().batch_execute("rollback").await?;
        if !matches!(fault, Fault::Contended) || !LOCKING.pause(attempt, &database.ambient).await {
            return Err(fault);
        }
        attempt += 1;
    }
}

/// `a = 'x' and b = 'y'` for the rows of the table of structures.
fn where_structure(collection: &Collection, kind: &str, name: &str) -> String {
    format!(
        "collection = {} and kind = {} and name = {}",
        literal(collection.name),
        literal(kind),
        literal(name)
    )
}
