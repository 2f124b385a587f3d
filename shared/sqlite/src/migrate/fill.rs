//! Enters existing documents into newly declared parts.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Document, Error, Key, Projection, Result, UniqueKey};

use crate::fault::Fault;
use crate::layout::{self, Part, PartKind};
use crate::rows;
use crate::statements::{Statements, bind_parts};

/// The maximum number of documents, and of their bytes, that one transaction enters. All other writers wait
/// meanwhile.
const DOCUMENTS_AT_ONCE: usize = 250;
const BYTES_AT_ONCE: usize = 1024 * 1024;

/// Enters some documents of a collection into its unfilled parts. Returns whether there are more.
pub(super) fn fill_some(
    connection: &Connection,
    collection: &'static Collection,
    now: Timestamp,
) -> Result<bool, Fault> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let more = fill_step(&transaction, collection, now)?;
    transaction.commit()?;
    Ok(more)
}

/// Like [`fill_some`], within a transaction of the caller.
pub(super) fn fill_step(
    connection: &Connection,
    collection: &'static Collection,
    now: Timestamp,
) -> Result<bool, Fault> {
    let unfilled = unfilled(connection, collection)?;
    let Some((_, filled_to)) = unfilled.iter().min_by_key(|(_, filled_to)| filled_to) else {
        return Ok(false);
    };
    let documents = documents_after(connection, collection, filled_to)?;
    let parts: Vec<Part> = unfilled.iter().map(|(part, _)| part.clone()).collect();
    let statements = Statements::new(collection.name, parts, Vec::new());
    for document in &documents {
        enter(connection, &statements, document)?;
    }
    for document in documents.iter().filter(|document| !document.is_expired(now)) {
        check_unique(connection, &statements, document, now)?;
    }
    let last = documents.last().map(|document| document.key.id());
    for (part, _) in &unfilled {
        layout::set_filled_to(connection, collection.name, part, last)?;
    }
    Ok(last.is_some())
}

/// Returns the declared parts that are not filled, with the id up to which each one is filled.
fn unfilled(connection: &Connection, collection: &Collection) -> rusqlite::Result<Vec<(Part, String)>> {
    let declared = layout::parts(collection);
    let stored = layout::stored(connection, collection.name)?;
    let unfilled = stored.into_iter().filter_map(|(part, filled_to)| Some((part, filled_to?)));
    Ok(unfilled.filter(|(part, _)| declared.contains(part)).collect())
}

fn documents_after(
    connection: &Connection,
    collection: &'static Collection,
    after: &str,
) -> Result<Vec<Document>, Fault> {
    let table = layout::table(collection.name);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, version, doc, expires_at FROM {table} WHERE id > ?1 ORDER BY id"
    ))?;
    let mut rows = statement.query([after])?;
    let (mut documents, mut bytes) = (Vec::new(), 0);
    while documents.len() < DOCUMENTS_AT_ONCE
        && bytes < BYTES_AT_ONCE
        && let Some(row) = rows.next()?
    {
        let key = Key::new(collection, row.get::<_, String>(0)?)?;
        bytes += row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?.len();
        documents.push(rows::document(key, row, 1)?);
    }
    Ok(documents)
}

/// Stores the derived data of a document. Does not change the version of the document.
fn enter(connection: &Connection, statements: &Statements, document: &Document) -> Result<(), Fault> {
    let projection = Projection::of(document);
    let settings: Vec<_> = statements
        .parts
        .iter()
        .zip(2..)
        .map(|(part, place)| format!("{} = ?{place}", part.column()))
        .collect();
    let table = layout::table(document.key.collection().name);
    let mut statement =
        connection.prepare_cached(&format!("UPDATE {table} SET {} WHERE id = ?1", settings.join(", ")))?;
    statement.raw_bind_parameter(1, document.key.id())?;
    bind_parts(&mut statement, 2, &statements.parts, &projection)?;
    statement.raw_execute()?;
    if statements.parts.iter().any(|part| part.kind == PartKind::Search) {
        for term in &projection.terms {
            statements.insert_term(connection, term, document.key.id())?;
        }
    }
    Ok(())
}

/// Fails if another live document holds one of the values that were entered for a document.
fn check_unique(
    connection: &Connection,
    statements: &Statements,
    document: &Document,
    now: Timestamp,
) -> Result<(), Fault> {
    let is_entered = |guard: &UniqueKey| {
        let mut uniques = statements.parts.iter().filter(|part| part.kind == PartKind::Unique);
        uniques.any(|part| part.name == guard.attribute())
    };
    for guard in Projection::of(document).guards.iter().filter(|guard| is_entered(guard)) {
        let collection = guard.collection();
        let column = layout::unique_column(guard.attribute());
        let (table, tree) = (layout::table(collection.name), layout::tree(collection.name, &column));
        let other: Option<String> = connection
            .prepare_cached(&format!(
                "SELECT id FROM {table} INDEXED BY {tree} WHERE {column} = ?1 AND id <> ?2 \
                 AND (expires_at IS NULL OR expires_at > ?3)"
            ))?
            .query_row((guard.value(), document.key.id(), now.as_micros()), |row| row.get(0))
            .optional()?;
        if let Some(other) = other {
            let (attribute, id) = (guard.attribute(), document.key.id());
            return Err(Error::not_unique(collection, attribute, &other, id).into());
        }
    }
    Ok(())
}
