//! Applies a batch inside a write transaction.

use std::sync::Arc;

use rusqlite::Connection;
use switchyard_ambient::Timestamp;
use switchyard_database::{
    Batch, Body, Document, Error, Key, Operation, Prepared, Result, State, UniqueKey, Version, evaluate,
    is_expired, term_position,
};

use crate::fault::Fault;
use crate::removal::remove_document;
use crate::statements::{Statements, Tables, bind_parts};
use crate::{layout, rows};

/// A batch on its way to the writer, with the texts of the documents that it stores. The caller encodes the texts,
/// so that the writer does not spend time on it.
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

/// Returns the text that stores a document.
fn text_of(body: &Body) -> Result<String> {
    serde_json::to_string(body)
        .map_err(|fault| Error::Internal(format!("a body cannot be encoded as JSON: {fault}")))
}

/// A batch that was accepted, with everything needed to apply it.
pub(crate) struct Plan {
    /// The statements for each operation's collection.
    statements: Vec<Arc<Statements>>,
    state: State,
    leftovers: Leftovers,
}

/// Decides whether a batch is accepted. Writes nothing.
pub(crate) fn decide(
    connection: &Connection,
    tables: &mut Tables,
    work: &Work,
    now: Timestamp,
) -> Result<Plan, Fault> {
    let batch = &work.batch;
    let statements = batch
        .operations()
        .iter()
        .map(|prepared| tables.of(connection, prepared.key().collection()))
        .collect::<Result<Vec<_>, Fault>>()?;
    let mut state = State::default();
    let mut leftovers = Leftovers::default();
    for (prepared, statements) in batch.operations().iter().zip(&statements) {
        if let Some(held) = read_held(connection, statements, prepared)? {
            if matches!(prepared.operation, Operation::Create { .. }) && held.is_expired(now) {
                leftovers.documents.push(held.key.clone());
            }
            state.documents.insert(held.key.clone(), held);
        }
    }
    read_owners(connection, batch, now, &mut state, &mut leftovers)?;
    evaluate(batch, &state, now)?;
    Ok(Plan { statements, state, leftovers })
}

/// Applies an accepted batch in the transaction in which it was decided. If this fails, parts of the batch may
/// have been written and the caller must roll back.
pub(crate) fn apply(connection: &Connection, work: &Work, plan: &Plan) -> Result<Vec<Version>, Fault> {
    let (batch, statements) = (&work.batch, &plan.statements);
    plan.leftovers.remove(connection)?;
    for ((prepared, statements), text) in batch.operations().iter().zip(statements).zip(&work.texts) {
        write(connection, statements, prepared, text.as_deref(), &plan.state)?;
    }
    for change in batch.term_changes() {
        let statements = &statements[change.operation];
        let id = batch.operations()[change.operation].key().id();
        if change.present {
            statements.insert_term(connection, &change.term, id)?;
        } else {
            let mut statement = connection.prepare_cached(&statements.delete_term)?;
            statement.execute([term_position(&change.term, id)])?;
        }
    }
    Ok(batch.versions())
}

/// Reads the stored document of an operation, with its body only if the decision needs it.
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

/// Finds the documents that hold the values that the batch claims. A value whose holder has expired is free.
fn read_owners(
    connection: &Connection,
    batch: &Batch,
    now: Timestamp,
    state: &mut State,
    leftovers: &mut Leftovers,
) -> Result<(), Fault> {
    for change in batch.guard_changes().iter().filter(|change| change.claimed_by.is_some()) {
        let collection = change.guard.collection();
        let column = layout::unique_column(change.guard.attribute());
        let mut statement = connection.prepare_cached(&format!(
            "SELECT id, expires_at FROM {} INDEXED BY {} WHERE {column} = ?1",
            layout::table(collection.name),
            layout::tree(collection.name, &column),
        ))?;
        let mut rows = statement.query([change.guard.value()])?;
        while let Some(row) = rows.next()? {
            let holder = Key::new(collection, row.get::<_, String>(0)?)?;
            if is_expired(rows::expiry(row, 1)?, now) {
                leftovers.holders.push((change.guard.clone(), holder));
            } else {
                state.owners.insert(change.guard.clone(), holder);
            }
        }
    }
    Ok(())
}

/// Data of expired documents that the batch needs to remove first.
#[derive(Default)]
struct Leftovers {
    /// Expired documents that the batch creates again.
    documents: Vec<Key>,
    /// Expired documents with a value that the batch claims: two stored documents must never hold the same value.
    holders: Vec<(UniqueKey, Key)>,
}

impl Leftovers {
    fn remove(&self, connection: &Connection) -> Result<(), Fault> {
        for key in &self.documents {
            remove_document(connection, key.collection().name, key.id())?;
        }
        for (guard, holder) in &self.holders {
            let table = layout::table(holder.collection().name);
            let column = layout::unique_column(guard.attribute());
            let sql = format!("UPDATE {table} SET {column} = NULL WHERE id = ?1");
            connection.prepare_cached(&sql)?.execute([holder.id()])?;
        }
        Ok(())
    }
}

fn write(
    connection: &Connection,
    statements: &Statements,
    prepared: &Prepared,
    text: Option<&str>,
    state: &State,
) -> Result<(), Fault> {
    let key = prepared.key();
    statements.leave_undeclared(connection, &prepared.operation)?;
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
        Err(Error::Internal(format!("{key} was read, but then {changed} rows were written for it")).into())
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
