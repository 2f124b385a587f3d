//! The table of structures, which records the structures in the database.

use switchyard_ambient::Timestamp;
use switchyard_database::Collection;
use tokio_postgres::types::Type;

use crate::fault::Outcome;
use crate::names::{STRUCTURES, literal, quoted};
use crate::read::column;
use crate::session::Session;
use crate::sql::Sql;
use crate::structure::{Kind, Structure};

/// A structure in the database.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) structure: Structure,
    /// Whether it has been filled and its index has been built.
    pub(super) is_ready: bool,
    /// Since when it is no longer declared, if so.
    pub(super) retired_at: Option<Timestamp>,
}

/// Creates the table of structures if it does not exist.
pub(super) async fn create_table(session: &Session) -> Outcome<()> {
    let sql = Sql::new("select to_regclass($1) is not null", &[Type::TEXT]);
    let rows = session.query(&sql, &[&quoted(STRUCTURES)]).await?;
    let exists = rows.first().map(|row| column(row, 0, &STRUCTURES)).transpose()?.unwrap_or(false);
    if exists {
        return Ok(());
    }
    // The notice that the table exists would be logged.
    let create = format!(
        "begin; set local client_min_messages = warning; \
         create table if not exists {} (collection text, kind text, name text, definition text, \
         is_ready boolean not null, retired_at bigint, primary key (collection, kind, name, definition)); commit",
        quoted(STRUCTURES)
    );
    Ok(session.batch_execute(&create).await?)
}

/// Returns the structures of a collection.
pub(super) async fn of(session: &Session, collection: &Collection) -> Outcome<Vec<Stored>> {
    let sql = Sql::new(
        format!(
            "select kind, name, definition, is_ready, retired_at from {} where collection = $1",
            quoted(STRUCTURES)
        ),
        &[Type::TEXT],
    );
    let mut stored = Vec::new();
    for row in session.query(&sql, &[&collection.name]).await? {
        let Some(kind) = Kind::from_name(column(&row, 0, &STRUCTURES)?) else { continue };
        let retired_at: Option<i64> = column(&row, 4, &STRUCTURES)?;
        stored.push(Stored {
            structure: Structure {
                kind,
                name: column(&row, 1, &STRUCTURES)?,
                definition: column(&row, 2, &STRUCTURES)?,
            },
            is_ready: column(&row, 3, &STRUCTURES)?,
            retired_at: retired_at.map(Timestamp::from_micros),
        });
    }
    Ok(stored)
}

/// Returns the statement that records a structure as begun, or as begun again.
pub(super) fn note_begun(collection: &Collection, structure: &Structure) -> String {
    format!(
        "insert into {} values ({}, {}, {}, {}, false) on conflict (collection, kind, name, definition) \
         do update set is_ready = false, retired_at = null",
        quoted(STRUCTURES),
        literal(collection.name),
        literal(structure.kind.name()),
        literal(&structure.name),
        literal(&structure.definition)
    )
}

/// Returns the statement that records a structure as filled and built.
pub(super) fn note_ready(collection: &Collection, structure: &Structure) -> String {
    format!("update {} set is_ready = true where {}", quoted(STRUCTURES), is(collection, structure))
}

/// Returns the statement that records a structure as no longer declared.
pub(super) fn note_retired(collection: &Collection, structure: &Structure, now: Timestamp) -> String {
    let now = now.as_micros();
    format!("update {} set retired_at = {now} where {}", quoted(STRUCTURES), is(collection, structure))
}

/// Returns the statement that deletes the record of a structure.
pub(super) fn forget(collection: &Collection, structure: &Structure) -> String {
    format!("delete from {} where {}", quoted(STRUCTURES), is(collection, structure))
}

fn is(collection: &Collection, structure: &Structure) -> String {
    format!(
        "collection = {} and kind = {} and name = {} and definition = {}",
        literal(collection.name),
        literal(structure.kind.name()),
        literal(&structure.name),
        literal(&structure.definition)
    )
}
