//! Brings the stored tables to the declared collections.
//!
//! A migration that is refused has taken nothing from the programs that ran before. So first what is new beside what they
//! declare is made, in one transaction: from then on every commit keeps it up to date. Then the documents that were there
//! before are entered, a few in each transaction, between the commits of others. How far that has come is stored with it,
//! so that a migration that was cut short goes on where it was.
//!
//! What is declared otherwise under the same name takes the place of what was declared before: unique attributes in one
//! transaction, since they may be refused, and then indexes and search, which may not. At the end what is declared no more
//! is dropped; SQLite writes a table anew to drop a column of it.

mod fill;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use switchyard_ambient::{Ambient, Timestamp};
use switchyard_database::{Collection, Error, Result, Schema};

use crate::fault::Fault;
use crate::layout::{self, Part, PartKind};
use crate::view;
use crate::writer::Writer;

use fill::{fill_some, fill_step};

/// Migrates.
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

/// Makes what is declared and not there, but for what has the name of something else.
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

/// What is declared and not there, each with what is there under its name.
fn missing(connection: &Connection, collection: &Collection) -> rusqlite::Result<Vec<(Part, Option<Part>)>> {
    let stored = layout::stored_parts(connection, collection.name)?;
    let missing = layout::parts(collection).into_iter().filter(|part| !stored.contains(part));
    let with_before = missing.map(|part| {
        let before = stored.iter().find(|other| (other.kind, &other.name) == (part.kind, &part.name));
        (part, before.cloned())
    });
    Ok(with_before.collect())
}

/// Everybody who writes waits until all documents are entered.
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

/// Puts what is declared in the place of what was declared before; whether there was anything to replace.
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

#[cfg(test)]
mod tests;
