//! Migrates the stored tables to the declared collections, while programs continue to read and write.
//!
//! Every step can be interrupted and is continued by the next call:
//!
//! 1. tables and columns are added, in one short transaction;
//! 2. rows with another layout ([`structure::layout`](crate::structure::layout)) get their columns and search
//!    terms, a few hundred in a transaction, without a new version;
//! 3. indexes are built;
//! 4. the view for people is updated to the declared fields;
//! 5. structures that are no longer declared are marked, and dropped a day later.
//!
//! A step that has nothing to do runs no statement that needs the right to create tables, not even one with `if not exists`:
//! PostgreSQL checks the right first. So a database that is up to date can be served by a role with fewer rights.
//!
//! So a migration that fails, for example because a value is not unique, does not affect the previous program, and
//! after one that succeeds the instances of the previous program continue until the new ones have replaced them.
//! Documents that they write meanwhile are missing from the new structures; migrating once more after the last of
//! them has ended adds these documents.

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

/// The longest pause before checking again whether another migration has ended.
const TURN: Duration = Duration::from_millis(200);

/// How often a running migration shows that it is still there.
const HOLDING: Duration = Duration::from_secs(15);

/// The backoff for locks on whole tables. Each attempt waits only briefly, because a waiting lock request makes
/// all later requests wait too.
const LOCKING: Backoff =
    Backoff { attempts: 60, base: Duration::from_millis(50), ceiling: Duration::from_secs(2) };

impl Postgres {
    pub(crate) async fn migrate_schema(&self, schema: &Schema) -> Result<()> {
        check_names(schema)?;
        self.migrate_exclusively(schema).await.map_err(Fault::into_error)
    }

    async fn migrate_exclusively(&self, schema: &Schema) -> Outcome<()> {
        // Connections outside the pool, because the pool may have only one.
        let guard = self.pool.connect().await?;
        take_turn(self, &guard).await?;
        let migrating = async {
            let session = self.pool.connect().await?;
            prepare(&session).await?;
            for &collection in schema.collections() {
                self.migrate_collection(&session, collection).await?;
            }
            Outcome::Ok(())
        };
        tokio::select! {
            biased;
            lost = hold_turn(&guard) => return Err(lost),
            migrated = migrating => migrated?,
        }
        guard.batch_execute("commit").await?;
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
        view::create_or_replace(self, session, collection).await?;
        tables::retire(self, session, collection, &undeclared).await
    }
}

/// Checks that no collection has the name of another collection's view, or a name that a system table hides.
fn check_names(schema: &Schema) -> Result<()> {
    for collection in schema.collections() {
        if collection.name.starts_with("pg_") {
            return Err(Error::Invalid(format!(
                "the collection `{}` needs another name: PostgreSQL reserves names that begin with pg_",
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

/// Waits until no other migration of the schema is running.
///
/// The lock belongs to a transaction instead of a session, so that it also works behind a proxy. While it is held,
/// the transaction reads nothing and so holds no snapshot. The lock is polled: a statement that waits for it would
/// have a snapshot, and `create index concurrently` of the running migration would wait for the end of that
/// snapshot.
async fn take_turn(database: &Postgres, guard: &Session) -> Outcome<()> {
    const BEGIN: &str =
        "begin; set local idle_in_transaction_session_timeout = '60s'; set local statement_timeout = 0";
    // Uses the simple protocol, because the extended one leaves a portal open, and with it a snapshot.
    const ASK: &str =
        "select pg_try_advisory_xact_lock(hashtextextended('switchyard migrate ' || current_schema(), 0))";
    loop {
        guard.batch_execute(BEGIN).await?;
        match single_value(&guard.simple_query(ASK).await?) {
            Some("t") => return Ok(()),
            Some(_) => {}
            None => {
                let message = "no schema of the search_path exists; create one or change the search_path";
                return Err(Error::Invalid(message.to_owned()).into());
            }
        }
        guard.batch_execute("rollback").await?;
        tokio::time::sleep(database.ambient.jitter(TURN)).await;
    }
}

/// Keeps the lock of the migration. Returns the fault if it is lost.
///
/// The server takes the lock from a migration that has been frozen, so that others need not wait forever.
async fn hold_turn(guard: &Session) -> Fault {
    loop {
        tokio::time::sleep(HOLDING).await;
        // Not a statement, which would have a snapshot.
        if let Err(fault) = guard.check().await {
            return fault.into();
        }
    }
}

/// Returns the first column of the first row.
pub(crate) fn single_value(reply: &[SimpleQueryMessage]) -> Option<&str> {
    reply.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}

async fn prepare(session: &Session) -> Outcome<()> {
    let encoding = session.simple_query("show server_encoding").await?;
    let is_utf8 = single_value(&encoding) == Some("UTF8");
    if !is_utf8 {
        let message = "the database must have the encoding UTF8; create it with `encoding 'UTF8'`";
        return Err(Error::Invalid(message.to_owned()).into());
    }
    stored::create_table(session).await
}

/// Runs statements in one transaction, and again if it did not get its locks in time.
async fn transact(database: &Postgres, session: &Session, statements: &[String]) -> Outcome<()> {
    let text = format!(
        "begin; set local lock_timeout = '1s'; set local statement_timeout = 0; \
         set local client_min_messages = warning; {}; commit",
        statements.join("; ")
    );
    let mut attempt = 1;
    loop {
        let Err(fault) = session.batch_execute(&text).await.map_err(Fault::from) else {
            return Ok(());
        };
        session.batch_execute("rollback").await?;
        if !matches!(fault, Fault::Contended | Fault::LockTimeout(_))
            || !LOCKING.pause(attempt, &database.ambient).await
        {
            return Err(fault);
        }
        attempt += 1;
    }
}
