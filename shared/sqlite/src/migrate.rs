//! Migrates the stored tables to the declared collections.
//!
//! A migration that is refused must remove nothing that the previous programs use. So the new parts are first
//! created in addition to the existing ones, in one transaction; from then on every commit updates them. Then the
//! existing documents are entered into them, a few in each transaction, between the commits of others. The
//! progress is stored with each part, so that an interrupted migration continues where it stopped.
//!
//! A part that is declared differently under the same name replaces the previous one: first unique attributes, in
//! one transaction, because they can be refused, then indexes and search terms, which cannot. At the end the parts
//! that are no longer declared are dropped. To drop a column, SQLite rewrites its table.

mod fill;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use switchyard_ambient::{Ambient, Timestamp};
use switchyard_database::{Collection, Error, Result, Schema};

use crate::fault::Fault;
use crate::layout::{self, Part, PartKind};
use crate::view;
use crate::writer::Writer;

use fill::{fill_some, fill_step};

/// Implements [`Database::migrate`](switchyard_database::Database::migrate).
pub(crate) async fn migrate(writer: &Writer, ambient: &Ambient, schema: &Schema) -> Result<()> {
    let step = async |step: fn(&Connection, &[&'static Collection], Timestamp) -> Result<(), Fault>| {
        let (collections, now) = (schema.collections().to_vec(), ambient.now());
        writer.run(move |connection| step(connection, &collections, now)).await
    };
    step(|connection, collections, _| lay_out(connection, collections)).await?;
    fill(writer, ambient, schema).await?;
    step(replace_unique_attributes).await?;
    step(|connection, collections, _| replace_indexes_and_search(connection, collections)).await?;
    fill(writer, ambient, schema).await?;
    step(|connection, collections, _| drop_undeclared(connection, collections)).await
}

async fn fill(writer: &Writer, ambient: &Ambient, schema: &Schema) -> Result<()> {
    for &collection in schema.collections() {
        loop {
            let now = ambient.now();
            let more = writer.run(move |connection| fill_some(connection, collection, now)).await?;
            if !more {
                break;
            }
        }
    }
    Ok(())
}

/// Creates the declared parts that are missing, except those whose name is used by another part.
pub(crate) fn lay_out(connection: &Connection, collections: &[&'static Collection]) -> Result<(), Fault> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for collection in collections {
        create_table(&transaction, collection)?;
        for (part, before) in missing(&transaction, collection)? {
            if before.is_none() {
                add_part(&transaction, collection.name, &part)?;
            }
        }
        replace_view(&transaction, collection)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Returns the declared parts that are missing, each with the stored part of the same name, if there is one.
fn missing(connection: &Connection, collection: &Collection) -> rusqlite::Result<Vec<(Part, Option<Part>)>> {
    let stored = layout::stored_parts(connection, collection.name)?;
    let missing = layout::parts(collection).into_iter().filter(|part| !stored.contains(part));
    let with_before = missing.map(|part| {
        let before = stored.iter().find(|other| (other.kind, &other.name) == (part.kind, &part.name));
        (part, before.cloned())
    });
    Ok(with_before.collect())
}

/// Replaces unique attributes. All other writers wait until all documents are entered.
fn replace_unique_attributes(
    connection: &Connection,
    collections: &[&'static Collection],
    now: Timestamp,
) -> Result<(), Fault> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for collection in collections {
        if replace(&transaction, collection, |kind| kind == PartKind::Unique)? {
            while fill_step(&transaction, collection, now)? {}
        }
    }
    transaction.commit()?;
    Ok(())
}

fn replace_indexes_and_search(
    connection: &Connection,
    collections: &[&'static Collection],
) -> Result<(), Fault> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for collection in collections {
        replace(&transaction, collection, |kind| kind != PartKind::Unique)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Replaces the parts that were declared differently before. Returns whether there were any.
fn replace(
    connection: &Connection,
    collection: &Collection,
    is_due: impl Fn(PartKind) -> bool,
) -> Result<bool, Fault> {
    let mut replaced = false;
    for (part, before) in missing(connection, collection)? {
        if let Some(before) = before.filter(|_| is_due(part.kind)) {
            drop_part(connection, collection.name, &before)?;
            add_part(connection, collection.name, &part)?;
            replaced = true;
        }
    }
    Ok(replaced)
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
            "the collection `{name}` cannot be stored: SQLite reserves names that begin with `sqlite_`"
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

/// Adds the column or table of a part, to be filled if there are documents.
fn add_part(connection: &Connection, collection: &str, part: &Part) -> Result<(), Fault> {
    let (table, column) = (layout::table(collection), part.column());
    match part.kind {
        PartKind::Index | PartKind::Unique => {
            // Not UNIQUE: two documents may swap their values, and SQLite checks the constraint after each
            // statement.
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

/// Replaces the view if it has changed. Otherwise nothing is executed, because a schema change makes every
/// connection prepare its statements again.
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

#[cfg(test)]
mod tests;
