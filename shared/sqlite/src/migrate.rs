//! Brings the stored tables to the declared collections.
//!
//! First the tables, columns and trees are made, in one transaction: from then on every commit keeps them up to date.
//! Then the documents that were there before are entered, a few in each transaction, between the commits of others.
//! How far that has come is stored with it, so that a migration that was cut short goes on where it was. At the end what
//! is declared no more is dropped; SQLite writes a table anew to drop a column of it.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};
use switchyard_ambient::{Ambient, Timestamp};
use switchyard_database::{Collection, Document, Error, Key, Projection, Result, Schema};

use crate::fault::Fault;
use crate::layout::{self, Part, PartKind};
use crate::statements::{Statements, bind_parts};
use crate::writer::Writer;
use crate::{rows, view};

/// Documents, and bytes of them, that one transaction enters at the most, while everybody who writes waits.
const DOCUMENTS_AT_ONCE: usize = 250;
const BYTES_AT_ONCE: usize = 1024 * 1024;

/// Migrates.
pub(crate) async fn migrate(writer: &Writer, ambient: &Ambient, schema: &Schema) -> Result<()> {
    let collections = schema.collections().to_vec();
    writer.run(move |connection| lay_out(connection, &collections)).await?;
    for &collection in schema.collections() {
        loop {
            let now = ambient.now();
            let more = writer.run(move |connection| fill_some(connection, collection, now)).await?;
            if !more {
                break;
            }
        }
    }
    // Last, so that a migration that is refused has taken nothing from the program that ran before.
    let collections = schema.collections().to_vec();
    writer.run(move |connection| drop_undeclared(connection, &collections)).await
}

/// Makes what is declared and not there.
pub(crate) fn lay_out(connection: &Connection, collections: &[&'static Collection]) -> Result<(), Fault> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for collection in collections {
        let name = collection.name;
        create_table(&transaction, collection)?;
        let stored = layout::stored_parts(&transaction, name)?;
        for part in layout::parts(collection).iter().filter(|part| !stored.contains(part)) {
            let other = stored.iter().find(|other| (other.kind, &other.name) == (part.kind, &part.name));
            if let Some(other) = other {
                drop_part(&transaction, name, other)?;
            }
            add_part(&transaction, name, part)?;
        }
        replace_view(&transaction, collection)?;
    }
    transaction.commit()?;
    Ok(())
}

fn drop_undeclared(connection: &Connection, collections: &[&'static Collection]) -> Result<(), Fault> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for collection in collections {
        let declared = layout::parts(collection);
        for part in layout::stored_parts(&transaction, collection.name)? {
            if !declared.contains(&part) {
                drop_part(&transaction, collection.name, &part)?;
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

fn create_table(connection: &Connection, collection: &Collection) -> Result<(), Fault> {
    let name = collection.name;
    if name.starts_with("sqlite_") {
        return Err(Error::Invalid(format!(
            "the collection `{name}` cannot be stored: SQLite keeps names with `sqlite_` to itself"
        ))
        .into());
    }
    let (table, tree) = (layout::table(name), layout::tree(name, "expires_at"));
    let view = layout::view(name);
    let is_new: bool = !connection
        .prepare("SELECT 1 FROM _switchyard_layout WHERE collection = ?1 AND kind = 'table'")?
        .exists([name])?;
    if is_new {
        connection.execute_batch(&format!(
            "CREATE TABLE {table} (
                id TEXT NOT NULL PRIMARY KEY,
                version BLOB NOT NULL,
                doc TEXT NOT NULL,
                expires_at INTEGER
            ) STRICT;
            CREATE INDEX {tree} ON {table} (expires_at) WHERE expires_at IS NOT NULL;
            INSERT INTO _switchyard_layout VALUES ('{name}', 'table', '{name}', '', NULL), \
                ('{name}', 'view', '{view}', '', NULL)"
        ))?;
    }
    Ok(())
}

/// Adds the place for a part, to be filled where there are documents.
fn add_part(connection: &Connection, collection: &str, part: &Part) -> Result<(), Fault> {
    let (table, column) = (layout::table(collection), part.column());
    match part.kind {
        PartKind::Index | PartKind::Unique => {
            // Not UNIQUE: two documents may swap their values, and SQLite checks after each statement.
            let tree = layout::tree(collection, &column);
            connection.execute_batch(&format!(
                "ALTER TABLE {table} ADD COLUMN {column} BLOB;
                 CREATE INDEX {tree} ON {table} ({column}) WHERE {column} IS NOT NULL"
            ))?;
        }
        PartKind::Search => {
            let terms = layout::terms_table(collection);
            connection.execute_batch(&format!(
                "ALTER TABLE {table} ADD COLUMN {column} TEXT;
                 CREATE TABLE {terms} (position BLOB NOT NULL PRIMARY KEY, id TEXT NOT NULL) STRICT, WITHOUT ROWID"
            ))?;
        }
    }
    let sql = format!("SELECT 1 FROM {table}");
    let filled_to = connection.prepare(&sql)?.exists([])?.then_some("");
    connection.execute(
        "INSERT INTO _switchyard_layout VALUES (?1, ?2, ?3, ?4, ?5)",
        (collection, part.kind.as_str(), &part.name, &part.definition, filled_to),
    )?;
    Ok(())
}

fn drop_part(connection: &Connection, collection: &str, part: &Part) -> Result<(), Fault> {
    let (table, column) = (layout::table(collection), part.column());
    let besides = match part.kind {
        PartKind::Index | PartKind::Unique => format!("DROP INDEX {}", layout::tree(collection, &column)),
        PartKind::Search => format!("DROP TABLE {}", layout::terms_table(collection)),
    };
    connection.execute_batch(&format!("{besides}; ALTER TABLE {table} DROP COLUMN {column}"))?;
    connection.execute(
        "DELETE FROM _switchyard_layout WHERE collection = ?1 AND kind = ?2 AND name = ?3",
        (collection, part.kind.as_str(), &part.name),
    )?;
    Ok(())
}

/// Only where it has changed: a statement that changes the schema makes every connection prepare anew.
fn replace_view(connection: &Connection, collection: &Collection) -> Result<(), Fault> {
    let (name, definition) = (layout::view(collection.name), view::definition(collection));
    let changed = connection.execute(
        "UPDATE _switchyard_layout SET definition = ?1 \
         WHERE collection = ?2 AND kind = 'view' AND definition <> ?1",
        (&definition, collection.name),
    )?;
    if changed > 0 {
        connection.execute_batch(&format!("DROP VIEW IF EXISTS {name}; {definition}"))?;
    }
    Ok(())
}

/// Enters some documents of a collection into what is not filled yet; whether there are more.
fn fill_some(
    connection: &Connection,
    collection: &'static Collection,
    now: Timestamp,
) -> Result<bool, Fault> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let unfilled = unfilled(&transaction, collection)?;
    let Some((_, filled_to)) = unfilled.iter().min_by_key(|(_, filled_to)| filled_to) else {
        return Ok(false);
    };
    let documents = documents_after(&transaction, collection, filled_to)?;
    for document in &documents {
        enter(&transaction, collection, document)?;
    }
    for document in documents.iter().filter(|document| !document.is_expired(now)) {
        check_unique(&transaction, collection, document, now)?;
    }
    let last = documents.last().map(|document| document.key.id());
    for (part, _) in &unfilled {
        layout::set_filled_to(&transaction, collection.name, part, last)?;
    }
    transaction.commit()?;
    Ok(last.is_some())
}

/// What is declared and not filled, with the id up to which it is.
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

/// Stores what follows from a document beside it. Its version stays.
fn enter(connection: &Connection, collection: &Collection, document: &Document) -> Result<(), Fault> {
    let statements = Statements::new(collection.name, layout::parts(collection), Vec::new());
    let projection = Projection::of(document);
    let settings: Vec<_> = statements
        .parts
        .iter()
        .zip(2..)
        .map(|(part, place)| format!("{} = ?{place}", part.column()))
        .collect();
    let table = layout::table(collection.name);
    let mut statement =
        connection.prepare_cached(&format!("UPDATE {table} SET {} WHERE id = ?1", settings.join(", ")))?;
    statement.raw_bind_parameter(1, document.key.id())?;
    bind_parts(&mut statement, 2, &statements.parts, &projection)?;
    statement.raw_execute()?;
    for term in &projection.terms {
        statements.insert_term(connection, term, document.key.id())?;
    }
    Ok(())
}

/// Fails where another live document holds one of the document's unique values.
fn check_unique(
    connection: &Connection,
    collection: &Collection,
    document: &Document,
    now: Timestamp,
) -> Result<(), Fault> {
    for guard in Projection::of(document).guards {
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

#[cfg(test)]
mod tests;
