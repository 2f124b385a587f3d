//! Bringing the stored tables to the declared collections, while programs go on reading and writing.
//!
//! Every step can be interrupted and is taken up again by the next call:
//!
//! 1. tables and columns are added, in one short transaction;
//! 2. rows of another layout ([`structure::layout`](crate::structure::layout)) get their columns and search terms, a few
//!    hundred in a transaction, without a new version;
//! 3. indexes are built;
//! 4. the view for people is brought to the declared fields;
//! 5. what is no longer declared is noted, and dropped a day later.
//!
//! So a migration that fails, as on a value that is not unique, leaves the program before it as it was, and one that
//! succeeds lets its instances go on until the new ones have taken over. What those write meanwhile is not in the new
//! structures: migrating once more, when the last of them has ended, brings it in.

mod backfill;
mod indexes;
mod stored;
mod tables;
mod view;

use std::time::Duration;

use switchyard_database::retry::Backoff;
use switchyard_database::{Collection, Error, Result, Schema};
use tokio_postgres::SimpleQueryMessage;

use crate::Postgres;
use crate::fault::{Fault, Outcome};
use crate::session::Session;
use crate::structure::{self, Structure};

/// A statement waits as long as it takes: a large index is large.
const NO_TIMEOUT: Duration = Duration::ZERO;

/// The longest pause before asking again whether another migration has ended.
const TURN: Duration = Duration::from_millis(200);

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
        take_turn(self, &guard).await?;
        let session = self.pool.connect(NO_TIMEOUT).await?;
        prepare(&session).await?;
        for &collection in schema.collections() {
            self.migrate_collection(&session, collection).await?;
        }
        guard.client().batch_execute("commit").await?;
        Ok(())
    }

    async fn migrate_collection(&self, session: &Session, collection: &'static Collection) -> Outcome<()> {
        let declared = structure::declared(collection);
        let stored = stored::of(session, collection).await?;
        let is_there = |declared: &Structure| {
            let mut live = stored.iter().filter(|stored| stored.retired_at.is_none());
            live.find(|stored| stored.structure == *declared)
        };
        let missing: Vec<_> = declared.iter().filter(|declared| is_there(declared).is_none()).collect();
        let unready: Vec<_> = declared
            .iter()
            .filter(|declared| !is_there(declared).is_some_and(|stored| stored.is_ready))
            .collect();
        let undeclared: Vec<_> =
            stored.iter().filter(|stored| !declared.contains(&stored.structure)).collect();
        tables::add(self, session, collection, &missing).await?;
        backfill::fill(self, session, &self.tables.of(collection)).await?;
        indexes::build(self, session, collection, &unready).await?;
        view::bring(self, session, collection).await?;
        tables::retire(self, session, collection, &undeclared).await
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

/// One migration at a time for each schema.
///
/// The lock is a transaction's, not a session's, so that it holds behind a proxy, too; while it is held the transaction
/// reads nothing and so keeps nothing alive. It is asked for repeatedly and not waited for: a statement that waits has a
/// snapshot, for whose end `create index concurrently` of the migration before would wait in turn.
async fn take_turn(database: &Postgres, guard: &Session) -> Outcome<()> {
    const BEGIN: &str =
        "begin; set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0";
    // The simple protocol: the other one leaves a portal open, and with it a snapshot.
    const ASK: &str =
        "select pg_try_advisory_xact_lock(hashtextextended('switchyard migrate ' || current_schema(), 0))";
    loop {
        guard.client().batch_execute(BEGIN).await?;
        match single_value(&guard.client().simple_query(ASK).await?) {
            Some("t") => return Ok(()),
            Some(_) => {}
            None => {
                let message = "there is no schema of the search_path: create it, or name another one";
                return Err(Error::Invalid(message.to_owned()).into());
            }
        }
        guard.client().batch_execute("rollback").await?;
        tokio::time::sleep(database.ambient.jitter(TURN)).await;
    }
}

/// The first column of the first row.
pub(crate) fn single_value(reply: &[SimpleQueryMessage]) -> Option<&str> {
    reply.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}

async fn prepare(session: &Session) -> Outcome<()> {
    let encoding = session.client().simple_query("show server_encoding").await?;
    let is_utf8 = single_value(&encoding) == Some("UTF8");
    if !is_utf8 {
        let message = "the database must have the encoding UTF8: create it with `encoding 'UTF8'`";
        return Err(Error::Invalid(message.to_owned()).into());
    }
    let text = format!("set client_min_messages = warning; {}", stored::create_table());
    session.client().batch_execute(&text).await?;
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
