//! Updates rows with another layout, without changing their versions.

use std::collections::BTreeMap;
use std::time::Duration;

use switchyard_ambient::Timestamp;
use switchyard_database::retry::Backoff;
use switchyard_database::{Document, Error, Projection, term_position};

use crate::Postgres;
use crate::fault::{Fault, Outcome};
use crate::read::stored_document;
use crate::session::{Params, Session};
use crate::sql::{Param, Sql, Step, call};
use crate::table::{Table, derived_values};
use crate::values::StoredVersion;

/// The number of rows in one transaction. Other writers of these rows wait for it.
const ROWS: i64 = 200;
/// The maximum number of passes through the table: the first one skips rows that are locked, the others wait for
/// them and update rows that instances of the previous program have written again.
const PASSES: usize = 5;
/// A short lock timeout, because other writers cannot write the locked rows of the transaction while it waits for
/// one row. If this program is frozen, the rows must not stay locked.
const BEGIN: &str = "begin isolation level read committed; set local lock_timeout = '1s'; \
                     set local statement_timeout = 0; set local idle_in_transaction_session_timeout = '10s'";

/// The backoff after a conflict. Writers and a migration may wait for each other in a cycle over unique values or
/// rows. The conflict may be gone a moment later, so the migration tries again.
const CONFLICT: Backoff =
    Backoff { attempts: 20, base: Duration::from_millis(10), ceiling: Duration::from_millis(500) };

pub(super) async fn fill(database: &Postgres, session: &Session, table: &Table) -> Outcome<()> {
    for pass in 0..PASSES {
        if session.query(&table.backfill.any, &[]).await?.is_empty() {
            return Ok(());
        }
        let read = if pass == 0 { &table.backfill.read_free } else { &table.backfill.read };
        let mut after = String::new();
        let mut attempt = 1;
        loop {
            match step(database, session, table, read, &after).await {
                Ok(Some(last)) => (after, attempt) = (last, 1),
                Ok(None) => break,
                Err(Fault::Contended | Fault::LockTimeout(_))
                    if CONFLICT.pause(attempt, &database.ambient).await =>
                {
                    attempt += 1;
                }
                Err(fault) => return Err(fault),
            }
        }
    }
    Ok(())
}

/// Updates some rows after `after` and returns the id of the last one, or `None` if there were none.
async fn step(
    database: &Postgres,
    session: &Session,
    table: &Table,
    read: &Sql,
    after: &str,
) -> Outcome<Option<String>> {
    let read = call(read, vec![Box::new(after), Box::new(ROWS)]);
    let replies = match session.pipeline(vec![Step::Plain(BEGIN), read]).await {
        Ok(replies) => replies,
        Err(fault) => {
            session.roll_back();
            return Err(fault);
        }
    };
    let stored: Vec<Document> = replies
        .iter()
        .flatten()
        .map(|row| stored_document(table.collection, row, 0))
        .collect::<Result<_, _>>()?;
    let Some(last) = stored.last().map(|document| document.key.id().to_owned()) else {
        session.batch_execute("commit").await?;
        return Ok(None);
    };
    let now = database.ambient.now();
    match session.pipeline(steps_of_writing(table, &stored, now)).await {
        Ok(_) => Ok(Some(last)),
        Err(Fault::Duplicate) => Err(resolve(session, table, &stored, now).await?),
        Err(fault) => Err(fault),
    }
}

fn steps_of_writing<'a>(table: &'a Table, stored: &[Document], now: Timestamp) -> Vec<Step<'a>> {
    let width = table.collection.indexes.len() + table.collection.uniques.len();
    let mut columns: Vec<Vec<Option<Vec<u8>>>> = vec![Vec::new(); width];
    let (mut ids, mut positions, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    for document in stored {
        let mut projection = Projection::of(document);
        if document.is_expired(now) {
            projection.guards.clear(); // its values are free
        }
        for (column, value) in columns.iter_mut().zip(derived_values(table, &projection)) {
            column.push(value);
        }
        let id = document.key.id().to_owned();
        for term in &projection.terms {
            positions.push(term_position(term, &id));
            owners.push(id.clone());
        }
        ids.push(id);
    }
    let mut params: Vec<Param<'a>> = vec![Box::new(ids)];
    params.extend(columns.into_iter().map(|column| Box::new(column) as Param<'a>));
    let mut steps = vec![call(&table.backfill.write, params)];
    if let Some(terms) = &table.locked.terms {
        let params: Vec<Param<'a>> = vec![Box::new(positions), Box::new(owners)];
        steps.push(call(&terms.insert, params));
    }
    steps.push(Step::Plain("commit"));
    steps
}

/// Returns why a value is already stored. If its holder has expired, or was changed by a program that does not
/// declare the attribute, removes the value from that row and returns [`Fault::Contended`], so that the step is
/// tried again.
async fn resolve(session: &Session, table: &Table, stored: &[Document], now: Timestamp) -> Outcome<Fault> {
    let collection = table.collection;
    let mut claims = BTreeMap::new();
    for document in stored.iter().filter(|document| !document.is_expired(now)) {
        let id = document.key.id();
        for guard in Projection::of(document).guards {
            let attribute = guard.attribute();
            if let Some(other) = claims.insert(guard, id) {
                return Ok(Error::not_unique(collection, attribute, other, id).into());
            }
        }
    }
    for (guard, id) in claims {
        let place = collection.uniques.iter().position(|unique| unique.name == guard.attribute());
        let Some(place) = place else { continue };
        let rows = session.query(&table.reads.lookup[place], &[&guard.value()]).await?;
        let holders = rows.iter().map(|row| stored_document(collection, row, 0));
        for holder in holders.collect::<Result<Vec<_>, _>>()? {
            let other = holder.key.id();
            if other == id {
                continue;
            }
            if !holder.is_expired(now) && guard.is_held_by(&holder) {
                return Ok(Error::not_unique(collection, guard.attribute(), other, id).into());
            }
            // If it was written meanwhile, nothing changes and the next attempt finds out.
            let params: Params<'_> = &[&other, &StoredVersion(holder.version)];
            session.execute(&table.locked.release_stale[place], params).await?;
        }
    }
    Ok(Fault::Contended)
}
