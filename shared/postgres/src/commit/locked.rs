//! Any batch: lock and read everything, decide, write. Two round trips.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use switchyard_ambient::Timestamp;
use switchyard_database::{
    Batch, Document, Key, Operation, Prepared, Projection, Result, State, UniqueKey, evaluate, is_expired,
    term_position,
};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::Postgres;
use crate::commit::outcome::Trace;
use crate::commit::{Setback, columns_of, locks};
use crate::fault::Fault;
use crate::read::{column, stored_document};
use crate::session::Session;
use crate::sql::{Call, Param, Sql, Step};
use crate::table::Table;
use crate::values::{StoredVersion, WrittenBody};

/// The locks, in the order in which they are listed, and the transaction's number.
static LOCK: LazyLock<Sql> = LazyLock::new(|| {
    Sql::new(
        "select pg_current_xact_id()::text, count(case when alone then pg_advisory_xact_lock(k)::text \
         else pg_advisory_xact_lock_shared(k)::text end) from unnest($1::bigint[], $2::boolean[]) l (k, alone)",
        &[Type::INT8_ARRAY, Type::BOOL_ARRAY],
    )
});

/// What a batch names in one collection.
struct Part<'b> {
    table: Arc<Table>,
    /// The documents that it writes.
    written: Vec<&'b str>,
    /// Those of them whose content is needed.
    wanted: Vec<&'b str>,
    /// The documents that it checks.
    checked: Vec<&'b str>,
    /// For each unique attribute the values that it claims.
    claimed: Vec<Vec<&'b UniqueKey>>,
}

/// What was read under the locks.
struct Found {
    state: State,
    /// Documents that have expired and hold values that are claimed, by the collection's name.
    expired: BTreeMap<&'static str, BTreeSet<String>>,
    transaction: Option<String>,
}

impl Postgres {
    pub(super) async fn write_locked(&self, session: &Session, batch: &Batch) -> Result<(), Setback> {
        let parts = self.parts_of(batch);
        let trace = |transaction| Trace { backend: session.backend.clone(), transaction };
        session.note_transaction(true);
        let rows = match session.pipeline(steps_of_reading(&parts, batch)).await {
            Ok(rows) => rows,
            Err(fault @ Fault::Lost(_)) => return Err(Setback::NotApplied(fault, Some(trace(None)))),
            Err(fault) => {
                session.roll_back();
                return Err(fault.into());
            }
        };
        let now = self.ambient.now();
        let decided = found_in(&parts, &rows, now).and_then(|found| {
            evaluate(batch, &found.state, now)?;
            Ok((steps_of_writing(&parts, batch, &found, now), found.transaction))
        });
        let (mut steps, transaction) = match decided {
            Ok((steps, _)) if steps.is_empty() => {
                session.roll_back();
                return Ok(());
            }
            Ok(decided) => decided,
            Err(error) => {
                session.roll_back();
                return Err(error.into());
            }
        };
        steps.push(Step::Plain("commit"));
        match session.pipeline(steps).await {
            Ok(_) => {
                session.note_transaction(false);
                Ok(())
            }
            Err(Fault::Lost(why)) => Err(Setback::Unknown(why, trace(transaction))),
            // A statement failed, and so the `commit` behind it rolled back.
            Err(fault) => {
                session.note_transaction(false);
                Err(fault.into())
            }
        }
    }

    /// The collections of a batch, ordered by name.
    fn parts_of<'b>(&self, batch: &'b Batch) -> Vec<Part<'b>> {
        let mut parts: BTreeMap<&str, Part<'b>> = BTreeMap::new();
        for prepared in batch.operations() {
            let collection = prepared.key().collection();
            let part = parts.entry(collection.name).or_insert_with(|| Part {
                table: self.tables.of(collection),
                written: Vec::new(),
                wanted: Vec::new(),
                checked: Vec::new(),
                claimed: vec![Vec::new(); collection.uniques.len()],
            });
            match prepared.operation {
                Operation::Check { .. } => part.checked.push(prepared.key().id()),
                _ => part.written.push(prepared.key().id()),
            }
            if matches!(prepared.operation, Operation::Increment { .. }) {
                part.wanted.push(prepared.key().id());
            }
        }
        for change in batch.guard_changes().iter().filter(|change| change.claimed_by.is_some()) {
            let collection = change.guard.collection();
            let place = collection.uniques.iter().position(|unique| unique.name == change.guard.attribute());
            if let (Some(part), Some(place)) = (parts.get_mut(collection.name), place) {
                part.claimed[place].push(&change.guard);
            }
        }
        parts.into_values().collect()
    }
}

fn call<'a>(sql: &'a Sql, params: Vec<Param<'a>>) -> Step<'a> {
    Step::Call(Call { sql, params })
}

/// Begins, locks and reads; the replies are taken apart by [`found_in`].
fn steps_of_reading<'a>(parts: &'a [Part<'_>], batch: &Batch) -> Vec<Step<'a>> {
    let (locks, alone): (Vec<i64>, Vec<bool>) = locks::of_batch(batch).into_iter().unzip();
    let mut steps = vec![
        Step::Plain("begin isolation level read committed"),
        call(&LOCK, vec![Box::new(locks), Box::new(alone)]),
    ];
    for part in parts {
        let Table { locked, .. } = &*part.table;
        if !part.written.is_empty() {
            steps.push(call(
                &locked.read_for_write,
                vec![Box::new(&part.written[..]), Box::new(&part.wanted[..])],
            ));
        }
        if !part.checked.is_empty() {
            steps.push(call(
                &locked.read_for_check,
                vec![Box::new(&part.checked[..]), Box::new(&[""; 0][..])],
            ));
        }
        for (sql, claimed) in locked.owners.iter().zip(&part.claimed) {
            if !claimed.is_empty() {
                let values: Vec<&[u8]> = claimed.iter().map(|unique| unique.value()).collect();
                steps.push(call(sql, vec![Box::new(values)]));
            }
        }
    }
    steps
}

fn found_in(parts: &[Part<'_>], rows: &[Vec<Row>], now: Timestamp) -> Result<Found> {
    let mut found = Found { state: State::default(), expired: BTreeMap::new(), transaction: None };
    let mut replies = rows.iter().skip(1); // of `begin`
    let mut next = || replies.next().map(Vec::as_slice).unwrap_or_default();
    if let Some(row) = next().first() {
        found.transaction = Some(column(row, 0, &"pg_current_xact_id")?);
    }
    for part in parts {
        let collection = part.table.collection;
        let reads = usize::from(!part.written.is_empty()) + usize::from(!part.checked.is_empty());
        for _ in 0..reads {
            for row in next() {
                let document = stored_document(collection, row, 0)?;
                found.state.documents.insert(document.key.clone(), document);
            }
        }
        for claimed in part.claimed.iter().filter(|claimed| !claimed.is_empty()) {
            for row in next() {
                let value: &[u8] = column(row, 0, &collection.name)?;
                let id: &str = column(row, 1, &collection.name)?;
                let expires_at: Option<i64> = column(row, 2, &collection.name)?;
                if is_expired(expires_at.map(Timestamp::from_micros), now) {
                    found.expired.entry(collection.name).or_default().insert(id.to_owned());
                } else if let Some(unique) = claimed.iter().find(|unique| unique.value() == value) {
                    found.state.owners.insert((*unique).clone(), Key::new(collection, id)?);
                }
            }
        }
    }
    Ok(found)
}

/// The statements that bring about what the batch decided; none when it only checks.
fn steps_of_writing<'a>(
    parts: &'a [Part<'_>],
    batch: &'a Batch,
    found: &Found,
    now: Timestamp,
) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    for part in parts {
        make_room(&mut steps, part, batch, found, now);
        for prepared in batch.operations().iter().filter(|prepared| is_of(prepared, part)) {
            if let Operation::Delete { previous } = &prepared.operation {
                steps.push(call(&part.table.locked.delete, vec![Box::new(previous.key.id())]));
            }
        }
        let (mut updates, mut inserts) = (Vec::new(), Vec::new());
        for prepared in batch.operations().iter().filter(|prepared| is_of(prepared, part)) {
            let current = found.state.documents.get(prepared.key());
            let Some(document) = prepared.outcome(current) else { continue };
            let projection = match &prepared.after {
                Some(after) => columns_of(&part.table, after),
                None => columns_of(&part.table, &Projection::of(&document)),
            };
            match prepared.operation {
                Operation::Create { .. } => {
                    inserts.push(call(&part.table.locked.insert, row_of(document, projection)));
                }
                _ => updates.push(call(&part.table.locked.update, row_of(document, projection))),
            }
        }
        steps.extend(updates);
        steps.extend(inserts);
        change_terms(&mut steps, part, batch);
    }
    steps
}

fn is_of(prepared: &Prepared, part: &Part<'_>) -> bool {
    *prepared.key().collection() == *part.table.collection
}

/// Removes what has expired and is in the way, and takes the unique values that move between documents from those that
/// give them, so that they are never stored twice in between.
fn make_room<'a>(
    steps: &mut Vec<Step<'a>>,
    part: &'a Part<'_>,
    batch: &Batch,
    found: &Found,
    now: Timestamp,
) {
    let Table { locked, collection, .. } = &*part.table;
    let mut expired: BTreeSet<String> = found.expired.get(collection.name).cloned().unwrap_or_default();
    for prepared in batch.operations().iter().filter(|prepared| is_of(prepared, part)) {
        if matches!(prepared.operation, Operation::Create { .. })
            && found.state.documents.contains_key(prepared.key())
        {
            expired.insert(prepared.key().id().to_owned());
        }
    }
    if !expired.is_empty() {
        let ids: Vec<String> = expired.into_iter().collect();
        steps.push(call(&locked.remove_expired, vec![Box::new(ids), Box::new(now.as_micros())]));
    }
    for (unique, sql) in collection.uniques.iter().zip(&locked.release) {
        let giving: Vec<String> = batch
            .guard_changes()
            .iter()
            .filter(|change| {
                change.guard.collection() == *collection
                    && change.guard.attribute() == unique.name
                    && change.claimed_by != change.released_by
                    && change.claimed_by.is_some()
            })
            .filter_map(|change| batch.operations().get(change.released_by?))
            .map(|prepared| prepared.key().id().to_owned())
            .collect();
        if !giving.is_empty() {
            steps.push(call(sql, vec![Box::new(giving)]));
        }
    }
}

fn row_of<'a>(document: Document, columns: Vec<Option<Vec<u8>>>) -> Vec<Param<'a>> {
    let mut params: Vec<Param<'a>> = vec![
        Box::new(document.key.id().to_owned()),
        Box::new(StoredVersion(document.version)),
        Box::new(WrittenBody(document.body)),
        Box::new(document.expires_at.map(Timestamp::as_micros)),
    ];
    params.extend(columns.into_iter().map(|column| Box::new(column) as Param<'a>));
    params
}

fn change_terms<'a>(steps: &mut Vec<Step<'a>>, part: &'a Part<'_>, batch: &Batch) {
    let mut gone = Vec::new();
    let (mut new, mut ids) = (Vec::new(), Vec::new());
    for change in batch.term_changes() {
        let Some(prepared) =
            batch.operations().get(change.operation).filter(|prepared| is_of(prepared, part))
        else {
            continue;
        };
        let id = prepared.key().id();
        let position = term_position(&change.term, id);
        if change.present {
            new.push(position);
            ids.push(id.to_owned());
        } else {
            gone.push(position);
        }
    }
    if !gone.is_empty() {
        steps.push(call(&part.table.locked.delete_terms, vec![Box::new(gone)]));
    }
    if !new.is_empty() {
        steps.push(call(&part.table.locked.insert_terms, vec![Box::new(new), Box::new(ids)]));
    }
}
