//! Builds the statements that apply a batch.

use switchyard_ambient::Timestamp;
use switchyard_database::{Batch, Body, Operation, Prepared, UniqueKey, term_position};

use crate::commit::gather::{Found, Part};
use crate::sql::{Param, Step, call};
use crate::table::{Table, derived_values};
use crate::values::{StoredVersion, WrittenBody};

/// Returns the statements that apply a batch after it was decided.
pub(super) fn steps<'a>(
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
            match &prepared.operation {
                Operation::Create { body, expires_at, .. } => {
                    inserts.push(call(&part.table.locked.insert, row_of(part, prepared, body, *expires_at)));
                }
                Operation::Replace { body, expires_at, .. } => {
                    updates.push(call(&part.table.locked.update, row_of(part, prepared, body, *expires_at)));
                }
                Operation::Increment { field, by, .. } => {
                    let at_least = i64::MIN; // the minimum has been checked already
                    let (id, version) = (prepared.key().id(), StoredVersion(prepared.version));
                    let params: Vec<Param<'_>> = vec![
                        Box::new(id),
                        Box::new(version),
                        Box::new(*field),
                        Box::new(*by),
                        Box::new(at_least),
                        Box::new(now.as_micros()),
                    ];
                    updates.push(call(&part.table.single.increment, params));
                }
                Operation::Delete { .. } | Operation::Check { .. } => {}
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

/// Removes expired documents that the batch creates again. Takes moving unique values from the documents that
/// release them first, so that they are never stored twice.
fn make_room<'a>(
    steps: &mut Vec<Step<'a>>,
    part: &'a Part<'_>,
    batch: &'a Batch,
    found: &Found,
    now: Timestamp,
) {
    let Table { locked, collection, .. } = &*part.table;
    let operations = || batch.operations().iter().filter(|prepared| is_of(prepared, part));
    let expired: Vec<&str> = operations()
        .filter(|prepared| matches!(prepared.operation, Operation::Create { .. }))
        .filter(|prepared| found.state.documents.contains_key(prepared.key()))
        .map(|prepared| prepared.key().id())
        .collect();
    if !expired.is_empty() {
        steps.push(call(&locked.remove_expired, vec![Box::new(expired), Box::new(now.as_micros())]));
    }
    for (place, unique) in collection.uniques.iter().enumerate() {
        let is_this =
            |guard: &UniqueKey| guard.collection() == *collection && guard.attribute() == unique.name;
        for (_, holder, version) in found.stale.iter().filter(|(guard, ..)| is_this(guard)) {
            let params: Vec<Param<'_>> =
                vec![Box::new(holder.id().to_owned()), Box::new(StoredVersion(*version))];
            steps.push(call(&locked.release_stale[place], params));
        }
        let moving = batch.guard_changes().iter().filter(|change| {
            is_this(&change.guard) && change.claimed_by.is_some() && change.claimed_by != change.released_by
        });
        let giving: Vec<&str> = moving
            .filter_map(|change| batch.operations().get(change.released_by?))
            .map(|prepared| prepared.key().id())
            .collect();
        if !giving.is_empty() {
            steps.push(call(&locked.release[place], vec![Box::new(giving)]));
        }
    }
}

/// Returns the parameters for the row of a new state, with the derived columns.
fn row_of<'a>(
    part: &Part<'_>,
    prepared: &'a Prepared,
    body: &'a Body,
    expires_at: Option<Timestamp>,
) -> Vec<Param<'a>> {
    let columns = prepared.after.iter().flat_map(|after| derived_values(&part.table, after));
    let mut params: Vec<Param<'a>> = vec![
        Box::new(prepared.key().id()),
        Box::new(StoredVersion(prepared.version)),
        Box::new(WrittenBody(body)),
        Box::new(expires_at.map(Timestamp::as_micros)),
    ];
    params.extend(columns.map(|column| Box::new(column) as Param<'a>));
    params
}

fn change_terms<'a>(steps: &mut Vec<Step<'a>>, part: &'a Part<'_>, batch: &Batch) {
    let Some(terms) = &part.table.locked.terms else { return };
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
        steps.push(call(&terms.delete, vec![Box::new(gone)]));
    }
    if !new.is_empty() {
        steps.push(call(&terms.insert, vec![Box::new(new), Box::new(ids)]));
    }
}
