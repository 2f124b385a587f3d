//! Applies a batch inside a write transaction.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection};
use switchyard_ambient::Timestamp;
use switchyard_database::{
    Batch, Collection, Document, Error, Key, Operation, Prepared, Projection, Result, State, Version,
    evaluate, is_expired, term_position,
};

use crate::fault::Fault;
use crate::layout::{self, Part, PartKind};
use crate::rows;

/// A batch on its way to the writer, with the text of the documents that it stores: made by the caller, whom nobody
/// else waits for.
#[derive(Debug)]
pub(crate) struct Work {
    batch: Batch,
    texts: Vec<Option<String>>,
}

impl Work {
    pub(crate) fn new(batch: &Batch) -> Result<Self> {
        let texts = batch.operations().iter().map(|prepared| match &prepared.operation {
            Operation::Create { body, .. } | Operation::Replace { body, .. } => text_of(body).map(Some),
            _ => Ok(None),
        });
        Ok(Self { texts: texts.collect::<Result<_>>()?, batch: batch.clone() })
    }
}

/// The text that stores a document.
fn text_of(body: &switchyard_database::Body) -> Result<String> {
    serde_json::to_string(body).map_err(|fault| Error::Internal(format!("a body is no JSON: {fault}")))
}

/// The statements that write to one collection.
#[derive(Debug)]
pub(crate) struct Statements {
    /// Everything that is kept beside a document, one column each; parameters 5 and up of `insert` and `update`.
    pub(crate) parts: Vec<Part>,
    held: String,
    held_document: String,
    insert: String,
    update: String,
    increment: String,
    delete: String,
    insert_term: String,
    delete_term: String,
}

impl Statements {
    pub(crate) fn new(collection: &str, parts: Vec<Part>) -> Self {
        let table = layout::table(collection);
        let terms = layout::terms_table(collection);
        let columns: String = parts.iter().map(|part| format!(", {}", part.column())).collect();
        let places: String = (5..parts.len() + 5).map(|place| format!(", ?{place}")).collect();
        let settings: String =
            parts.iter().zip(5..).map(|(part, place)| format!(", {} = ?{place}", part.column())).collect();
        Self {
            held: format!("SELECT version, expires_at FROM {table} WHERE id = ?1"),
            held_document: format!("SELECT version, expires_at, doc FROM {table} WHERE id = ?1"),
            insert: format!(
                "INSERT INTO {table} (id, version, doc, expires_at{columns}) VALUES (?1, ?2, ?3, ?4{places})"
            ),
            update: format!(
                "UPDATE {table} SET version = ?2, doc = ?3, expires_at = ?4{settings} WHERE id = ?1"
            ),
            increment: format!("UPDATE {table} SET version = ?2, doc = ?3 WHERE id = ?1"),
            delete: format!("DELETE FROM {table} WHERE id = ?1"),
            insert_term: format!("INSERT OR IGNORE INTO {terms} (position, id) VALUES (?1, ?2)"),
            delete_term: format!("DELETE FROM {terms} WHERE position = ?1"),
            parts,
        }
    }

    /// Enters a document under a term.
    pub(crate) fn insert_term(&self, connection: &Connection, term: &str, id: &str) -> Result<(), Fault> {
        connection.prepare_cached(&self.insert_term)?.execute((term_position(term, id), id))?;
        Ok(())
    }
}

/// The statements of the collections that were written to, for as long as their tables are what they were.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    schema_version: Option<i64>,
    /// By the address of the declaration: another declaration of the same name is checked anew.
    known: HashMap<usize, Arc<Statements>>,
}

impl Tables {
    /// To be called first in each write transaction: another process may have migrated the file.
    pub(crate) fn refresh(&mut self, connection: &Connection) -> Result<(), Fault> {
        let current =
            connection.prepare_cached("PRAGMA schema_version")?.query_row([], |row| row.get::<_, i64>(0))?;
        if self.schema_version != Some(current) {
            self.known.clear();
            self.schema_version = Some(current);
        }
        Ok(())
    }

    /// The statements of a collection, whose stored tables must be what it declares: a column that a program does not
    /// know of would be left behind.
    fn of(
        &mut self,
        connection: &Connection,
        collection: &'static Collection,
    ) -> Result<Arc<Statements>, Fault> {
        let address = std::ptr::from_ref(collection).addr();
        if let Some(statements) = self.known.get(&address) {
            return Ok(Arc::clone(statements));
        }
        let parts = layout::parts(collection);
        if layout::stored_parts(connection, collection.name)? != parts {
            return Err(Error::Internal(format!(
                "the stored tables of `{}` are not those that this program declares, migrate them first",
                collection.name
            ))
            .into());
        }
        let statements = Arc::new(Statements::new(collection.name, parts));
        self.known.insert(address, Arc::clone(&statements));
        Ok(statements)
    }
}

/// Applies a batch, or leaves some of it behind and fails: the caller rolls that back.
pub(crate) fn commit(
    connection: &Connection,
    tables: &mut Tables,
    work: &Work,
    now: Timestamp,
) -> Result<Vec<Version>, Fault> {
    let batch = &work.batch;
    let statements = batch
        .operations()
        .iter()
        .map(|prepared| tables.of(connection, prepared.key().collection()))
        .collect::<Result<Vec<_>, Fault>>()?;

    let mut state = State::default();
    let mut leftovers = BTreeSet::new();
    for (prepared, statements) in batch.operations().iter().zip(&statements) {
        if let Some(held) = read_held(connection, statements, prepared)? {
            if matches!(prepared.operation, Operation::Create { .. }) && held.is_expired(now) {
                leftovers.insert(held.key.clone());
            }
            state.documents.insert(held.key.clone(), held);
        }
    }
    read_owners(connection, batch, now, &mut state, &mut leftovers)?;
    evaluate(batch, &state, now)?;

    for leftover in &leftovers {
        remove(connection, leftover.collection().name, leftover.id())?;
    }
    for ((prepared, statements), text) in batch.operations().iter().zip(&statements).zip(&work.texts) {
        write(connection, statements, prepared, text.as_deref(), &state)?;
    }
    for change in batch.term_changes() {
        let (statements, id) =
            (&statements[change.operation], batch.operations()[change.operation].key().id());
        if change.present {
            statements.insert_term(connection, &change.term, id)?;
        } else {
            let mut statement = connection.prepare_cached(&statements.delete_term)?;
            statement.execute([term_position(&change.term, id)])?;
        }
    }
    Ok(batch.versions())
}

/// What is stored of an operation's document: the body only where the decision needs it.
fn read_held(
    connection: &Connection,
    statements: &Statements,
    prepared: &Prepared,
) -> Result<Option<Document>, Fault> {
    let key = prepared.key();
    let needs_body = matches!(prepared.operation, Operation::Increment { .. });
    let sql = if needs_body { &statements.held_document } else { &statements.held };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([key.id()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let body = if needs_body { rows::body(key, row, 2)? } else { Default::default() };
    let (version, expires_at) = (rows::version(row, 0)?, rows::expiry(row, 1)?);
    Ok(Some(Document::from_stored(key.clone(), version, body, expires_at)))
}

/// Finds who holds the values that the batch claims. A value whose holder has expired is free; that leftover makes way,
/// so that no two stored documents hold one value.
fn read_owners(
    connection: &Connection,
    batch: &Batch,
    now: Timestamp,
    state: &mut State,
    leftovers: &mut BTreeSet<Key>,
) -> Result<(), Fault> {
    for change in batch.guard_changes().iter().filter(|change| change.claimed_by.is_some()) {
        let collection = change.guard.collection();
        let column = format!("u_{}", change.guard.attribute());
        let mut statement = connection.prepare_cached(&format!(
            "SELECT id, expires_at FROM {} INDEXED BY {} WHERE {column} = ?1",
            layout::table(collection.name),
            layout::tree(collection.name, &column),
        ))?;
        let mut rows = statement.query([change.guard.value()])?;
        while let Some(row) = rows.next()? {
            let holder = Key::new(collection, row.get::<_, String>(0)?)?;
            if is_expired(rows::expiry(row, 1)?, now) {
                leftovers.insert(holder);
            } else {
                state.owners.insert(change.guard.clone(), holder);
            }
        }
    }
    Ok(())
}

fn write(
    connection: &Connection,
    statements: &Statements,
    prepared: &Prepared,
    text: Option<&str>,
    state: &State,
) -> Result<(), Fault> {
    let key = prepared.key();
    let changed = match &prepared.operation {
        Operation::Create { .. } => put(connection, &statements.insert, statements, prepared, text)?,
        Operation::Replace { .. } => put(connection, &statements.update, statements, prepared, text)?,
        Operation::Delete { .. } => connection.prepare_cached(&statements.delete)?.execute([key.id()])?,
        Operation::Increment { .. } => {
            let outcome = prepared.outcome(state.documents.get(key));
            let outcome =
                outcome.ok_or_else(|| Error::Internal(format!("the increment of {key} has no outcome")))?;
            let text = text_of(&outcome.body)?;
            let mut statement = connection.prepare_cached(&statements.increment)?;
            statement.execute((key.id(), prepared.version.as_bytes(), text))?
        }
        Operation::Check { .. } => return Ok(()),
    };
    if changed == 1 {
        Ok(())
    } else {
        Err(Error::Internal(format!("{key} was read, and then {changed} rows were written for it")).into())
    }
}

fn put(
    connection: &Connection,
    sql: &str,
    statements: &Statements,
    prepared: &Prepared,
    text: Option<&str>,
) -> Result<usize, Fault> {
    let (Some(projection), Some(text)) = (&prepared.after, text) else {
        return Err(Error::Internal(format!("{} has nothing to store", prepared.key())).into());
    };
    let mut statement = connection.prepare_cached(sql)?;
    statement.raw_bind_parameter(1, prepared.key().id())?;
    statement.raw_bind_parameter(2, prepared.version.as_bytes())?;
    statement.raw_bind_parameter(3, text)?;
    statement.raw_bind_parameter(4, projection.expires_at.map(Timestamp::as_micros))?;
    bind_parts(&mut statement, 5, &statements.parts, projection)?;
    Ok(statement.raw_execute()?)
}

/// Binds what is kept beside a document, from parameter `first` on.
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
                let terms = serde_json::to_string(&projection.terms)
                    .map_err(|fault| Error::Internal(format!("terms are no JSON: {fault}")))?;
                statement.raw_bind_parameter(place, terms)?;
            }
        }
    }
    Ok(())
}

/// Removes a document with the terms that its row says it has.
pub(crate) fn remove(connection: &Connection, collection: &str, id: &str) -> Result<(), Fault> {
    let table = layout::table(collection);
    let searchable = connection
        .prepare_cached("SELECT 1 FROM _switchyard_layout WHERE collection = ?1 AND kind = 'search'")?
        .exists([collection])?;
    if searchable {
        let terms: Option<String> = connection
            .prepare_cached(&format!("SELECT terms FROM {table} WHERE id = ?1"))?
            .query_row([id], |row| row.get(0))?;
        let terms: BTreeSet<String> = serde_json::from_str(terms.as_deref().unwrap_or("[]"))
            .map_err(|fault| Error::Corrupt(format!("the terms of {collection}/{id}: {fault}")))?;
        let terms_table = layout::terms_table(collection);
        let mut delete =
            connection.prepare_cached(&format!("DELETE FROM {terms_table} WHERE position = ?1"))?;
        for term in terms {
            delete.execute([term_position(&term, id)])?;
        }
    }
    connection.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?.execute([id])?;
    Ok(())
}
