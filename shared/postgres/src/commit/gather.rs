//! The statements that lock and read everything that the decision on a batch needs, and their results.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use switchyard_ambient::Timestamp;
use switchyard_database::{Batch, Document, Key, Operation, Result, State, UniqueKey, Version};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::commit::locks;
use crate::read::{column, stored_document};
use crate::sql::{Sql, Step, call};
use crate::table::{Table, Tables};

/// Takes the locks in the listed order, and returns the number of the transaction.
static LOCK: LazyLock<Sql> = LazyLock::new(|| {
    Sql::new(
        "select pg_current_xact_id()::text, count(case when alone then pg_advisory_xact_lock(k)::text \
         else pg_advisory_xact_lock_shared(k)::text end) from unnest($1::bigint[], $2::boolean[]) l (k, alone)",
        &[Type::INT8_ARRAY, Type::BOOL_ARRAY],
    )
});

/// The documents and unique values of a batch in one collection.
pub(super) struct Part<'b> {
    pub(super) table: Arc<Table>,
    /// The documents that the batch writes.
    pub(super) written: Vec<&'b str>,
    /// The written documents whose content is needed.
    pub(super) wanted: Vec<&'b str>,
    /// The documents that the batch checks.
    pub(super) checked: Vec<&'b str>,
    /// For each unique attribute, the values that the batch claims.
    pub(super) claimed: Vec<Vec<&'b UniqueKey>>,
}

/// The results of reading under the locks.
pub(super) struct Found {
    pub(super) state: State,
    /// Claimed values that are stored in the rows of documents that do not hold them: these documents have
    /// expired, or were given another value by a program that does not declare the attribute.
    pub(super) stale: Vec<(UniqueKey, Key, Version)>,
    pub(super) transaction: Option<String>,
}

/// Returns the parts of a batch, one for each collection, ordered by name.
pub(super) fn parts_of<'b>(tables: &Tables, batch: &'b Batch) -> Vec<Part<'b>> {
    let mut parts: BTreeMap<&str, Part<'b>> = BTreeMap::new();
    for prepared in batch.operations() {
        let collection = prepared.key().collection();
        let part = parts.entry(collection.name).or_insert_with(|| Part {
            table: tables.of(collection),
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

/// Returns the statements that begin the transaction, lock and read. [`found_in`] evaluates their replies.
pub(super) fn steps_of_reading<'a>(begin: &'a str, parts: &'a [Part<'_>], batch: &Batch) -> Vec<Step<'a>> {
    let (locks, alone): (Vec<i64>, Vec<bool>) = locks::of_batch(batch).into_iter().unzip();
    let mut steps = vec![Step::Plain(begin), call(&LOCK, vec![Box::new(locks), Box::new(alone)])];
    for part in parts {
        let Table { locked, .. } = &*part.table;
        if !part.written.is_empty() {
            steps.push(call(
                &locked.read_for_write,
                vec![Box::new(&part.written[..]), Box::new(&part.wanted[..])],
            ));
        }
        if !part.checked.is_empty() {
            steps.push(call(&locked.read_for_check, vec![Box::new(&part.checked[..])]));
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

pub(super) fn found_in(parts: &[Part<'_>], rows: &[Vec<Row>], now: Timestamp) -> Result<Found> {
    let mut found = Found { state: State::default(), stale: Vec::new(), transaction: None };
    let mut replies = rows.iter().skip(1); // the reply to `begin`
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
                let Some(&unique) = claimed.iter().find(|unique| unique.value() == value) else { continue };
                let holder = stored_document(collection, row, 1)?;
                if holder.is_expired(now) || !unique.is_held_by(&holder) {
                    found.stale.push((unique.clone(), holder.key, holder.version));
                } else {
                    found.state.owners.insert(unique.clone(), holder.key);
                }
            }
        }
    }
    Ok(found)
}

/// Returns the statements that read in one snapshot. [`checked_in`] evaluates their replies.
pub(super) fn steps_of_checking<'a>(begin: &'a str, parts: &'a [Part<'_>]) -> Vec<Step<'a>> {
    let mut steps = vec![Step::Plain(begin)];
    steps.extend(
        parts.iter().map(|part| call(&part.table.locked.read_unlocked, vec![Box::new(&part.checked[..])])),
    );
    steps.push(Step::Plain("commit"));
    steps
}

pub(super) fn checked_in(parts: &[Part<'_>], rows: &[Vec<Row>]) -> Result<HashMap<Key, Document>> {
    let mut documents = HashMap::new();
    for (part, rows) in parts.iter().zip(rows.iter().skip(1)) {
        for row in rows {
            let document = stored_document(part.table.collection, row, 0)?;
            documents.insert(document.key.clone(), document);
        }
    }
    Ok(documents)
}
