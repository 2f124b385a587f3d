//! The statements that write to a collection, built for its stored tables.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection};
use switchyard_database::{Collection, Error, Operation, Projection, Result, term_position};

use crate::fault::Fault;
use crate::layout::{self, Part, PartKind};
use crate::removal::remove_terms;

/// A position before every id.
const FROM_THE_FIRST: Option<&str> = Some("");

/// The statements that write to one collection.
#[derive(Debug)]
pub(crate) struct Statements {
    collection: String,
    /// The declared parts, with one column each. They are parameters 5 and up of `insert` and `update`.
    pub(crate) parts: Vec<Part>,
    /// Parts that are stored but that this program does not declare. They belong to an older or a newer program.
    undeclared: Vec<Part>,
    pub(crate) held: String,
    pub(crate) held_document: String,
    pub(crate) insert: String,
    pub(crate) update: String,
    pub(crate) increment: String,
    pub(crate) delete: String,
    insert_term: String,
    pub(crate) delete_term: String,
}

impl Statements {
    pub(crate) fn new(collection: &str, parts: Vec<Part>, undeclared: Vec<Part>) -> Self {
        let table = layout::table(collection);
        let terms = layout::terms_table(collection);
        let columns: String = parts.iter().map(|part| format!(", {}", part.column())).collect();
        let places: String = (5..parts.len() + 5).map(|place| format!(", ?{place}")).collect();
        let settings: String =
            parts.iter().zip(5..).map(|(part, place)| format!(", {} = ?{place}", part.column())).collect();
        let cleared: String = undeclared.iter().map(|part| format!(", {} = NULL", part.column())).collect();
        Self {
            held: format!("SELECT version, expires_at FROM {table} WHERE id = ?1"),
            held_document: format!("SELECT version, expires_at, doc FROM {table} WHERE id = ?1"),
            insert: format!(
                "INSERT INTO {table} (id, version, doc, expires_at{columns}) VALUES (?1, ?2, ?3, ?4{places})"
            ),
            update: format!(
                "UPDATE {table} SET version = ?2, doc = ?3, expires_at = ?4{settings}{cleared} WHERE id = ?1"
            ),
            increment: format!("UPDATE {table} SET version = ?2, doc = ?3{cleared} WHERE id = ?1"),
            delete: format!("DELETE FROM {table} WHERE id = ?1"),
            insert_term: format!("INSERT OR IGNORE INTO {terms} (position, id) VALUES (?1, ?2)"),
            delete_term: format!("DELETE FROM {terms} WHERE position = ?1"),
            collection: collection.to_owned(),
            parts,
            undeclared,
        }
    }

    /// Inserts a search term of a document.
    pub(crate) fn insert_term(&self, connection: &Connection, term: &str, id: &str) -> Result<(), Fault> {
        connection.prepare_cached(&self.insert_term)?.execute((term_position(term, id), id))?;
        Ok(())
    }

    /// Removes the document from the parts that this program does not declare, and marks them to be filled again
    /// by the next migration of a program that declares them. Must be called before each write.
    pub(crate) fn leave_undeclared(
        &self,
        connection: &Connection,
        operation: &Operation,
    ) -> Result<(), Fault> {
        let (is_new, is_gone) = match operation {
            Operation::Create { .. } => (true, false),
            Operation::Delete { .. } => (false, true),
            Operation::Replace { .. } | Operation::Increment { .. } => (false, false),
            Operation::Check { .. } => return Ok(()),
        };
        for part in &self.undeclared {
            if part.kind == PartKind::Search && !is_new {
                remove_terms(connection, &self.collection, operation.key().id())?;
            }
            if !is_gone {
                layout::set_filled_to(connection, &self.collection, part, FROM_THE_FIRST)?;
            }
        }
        Ok(())
    }
}

/// The cached statements of the collections that were written to, valid while the schema of the tables does not
/// change.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    schema_version: Option<i64>,
    /// Keyed by the address of the declaration: another declaration with the same name is checked separately.
    known: HashMap<usize, Arc<Statements>>,
}

impl Tables {
    /// Discards the cached statements if the schema has changed, because another process may have migrated the
    /// file. Must be called first in each write transaction.
    pub(crate) fn refresh(&mut self, connection: &Connection) -> Result<(), Fault> {
        let current =
            connection.prepare_cached("PRAGMA schema_version")?.query_row([], |row| row.get::<_, i64>(0))?;
        if self.schema_version != Some(current) {
            self.known.clear();
            self.schema_version = Some(current);
        }
        Ok(())
    }

    /// Returns the statements of a collection. Fails if the stored tables lack something that the collection
    /// declares.
    pub(crate) fn of(
        &mut self,
        connection: &Connection,
        collection: &'static Collection,
    ) -> Result<Arc<Statements>, Fault> {
        let address = std::ptr::from_ref(collection).addr();
        if let Some(statements) = self.known.get(&address) {
            return Ok(Arc::clone(statements));
        }
        let (declared, mut stored) =
            (layout::parts(collection), layout::stored_parts(connection, collection.name)?);
        if declared.iter().any(|part| !stored.contains(part)) {
            return Err(Error::Internal(format!(
                "the stored tables of `{}` lack parts that this program declares; run the migration first",
                collection.name
            ))
            .into());
        }
        stored.retain(|part| !declared.contains(part));
        let statements = Arc::new(Statements::new(collection.name, declared, stored));
        self.known.insert(address, Arc::clone(&statements));
        Ok(statements)
    }
}

/// Binds the parts of a document to parameters, starting with parameter `first`.
pub(crate) fn bind_parts(
    statement: &mut CachedStatement<'_>,
    first: usize,
    parts: &[Part],
    projection: &Projection,
) -> Result<(), Fault> {
    for (part, place) in parts.iter().zip(first..) {
        match part.kind {
            PartKind::Index => {
                let mut entries = projection.entries.iter().flatten();
                let entry = entries.find(|entry| entry.index.name == part.name);
                statement.raw_bind_parameter(place, entry.map(|entry| entry.whole_key()))?;
            }
            PartKind::Unique => {
                let guard = projection.guards.iter().find(|guard| guard.attribute() == part.name);
                statement.raw_bind_parameter(place, guard.map(|guard| guard.value()))?;
            }
            PartKind::Search => {
                let terms = serde_json::to_string(&projection.terms).map_err(|fault| {
                    Error::Internal(format!("the search terms cannot be encoded as JSON: {fault}"))
                })?;
                statement.raw_bind_parameter(place, terms)?;
            }
        }
    }
    Ok(())
}
