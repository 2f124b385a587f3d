//! Bringing rows of another layout up to date, without a new version.

use std::collections::BTreeMap;

use switchyard_ambient::Timestamp;
use switchyard_database::{Document, Error, Projection, term_position};
use tokio_postgres::types::Type;

use crate::Postgres;
use crate::commit::columns_of;
use crate::fault::{Fault, Outcome};
use crate::names::{self, quoted};
use crate::read::stored_document;
use crate::session::Session;
use crate::sql::{Call, Param, Sql, Step};
use crate::table::Table;

/// Rows in one transaction: their writers wait for it.
const ROWS: i64 = 200;
/// Times that the whole table is gone through for rows that were being written, or are written anew by instances of
/// the program before.
const PASSES: usize = 5;

pub(super) async fn fill(database: &Postgres, session: &Session, table: &Table) -> Outcome<()> {
    let statements = Statements::new(table);
    for _ in 0..PASSES {
        if session.query(&statements.any, &[]).await?.is_empty() {
            return Ok(());
        }
        let mut after = String::new();
        while let Some(last) = step(database, session, table, &statements, &after, ROWS).await? {
            after = last;
        }
    }
    Ok(())
}

struct Statements {
    /// Whether there is a row to bring up to date.
    any: Sql,
    /// `after, limit` → documents, locked. Rows that are being written are left for the next pass.
    read: Sql,
    /// `ids, columns…`.
    write: Sql,
}

impl Statements {
    fn new(table: &Table) -> Self {
        let name = names::table(table.collection);
        let layout = table.layout;
        let indexes = table.collection.indexes.iter().map(|index| names::index_column(index.name));
        let uniques = table.collection.uniques.iter().map(|unique| names::unique_column(unique.name));
        let columns: Vec<String> = indexes.chain(uniques).map(|column| quoted(&column)).collect();
        let numbers = || 2..2 + columns.len();
        let values: String = numbers().map(|number| format!(", ${number}")).collect();
        let names: String = numbers().map(|number| format!(", c{number}")).collect();
        let sets: String =
            columns.iter().zip(numbers()).map(|(column, number)| format!(", {column} = c{number}")).collect();
        let mut types = vec![Type::TEXT_ARRAY];
        types.extend(columns.iter().map(|_| Type::BYTEA_ARRAY));
        Self {
            any: Sql::new(format!("select from {name} where layout <> {layout} limit 1"), &[]),
            read: Sql::new(
                format!(
                    "select id, version, doc, expires_at from {name} where layout <> {layout} and id > $1 \
                     order by id limit $2 for no key update skip locked"
                ),
                &[Type::TEXT, Type::INT8],
            ),
            write: Sql {
                text: format!(
                    "update {name} d set layout = {layout}{sets} from unnest($1{values}) u (key{names}) where d.id = key"
                ),
                types,
            },
        }
    }
}

/// Brings up to `rows` rows behind `after` up to date and answers with the last one; `None`: there were none.
async fn step(
    database: &Postgres,
    session: &Session,
    table: &Table,
    statements: &Statements,
    after: &str,
    rows: i64,
) -> Outcome<Option<String>> {
    let read = Call { sql: &statements.read, params: vec![Box::new(after), Box::new(rows)] };
    let replies =
        session.pipeline(vec![Step::Plain("begin isolation level read committed"), Step::Call(read)]).await?;
    let stored: Vec<Document> = replies
        .iter()
        .flatten()
        .map(|row| stored_document(table.collection, row, 0))
        .collect::<Result<_, _>>()?;
    let Some(last) = stored.last().map(|document| document.key.id().to_owned()) else {
        session.client().batch_execute("commit").await?;
        return Ok(None);
    };
    let steps = steps_of_writing(table, statements, &stored, database.ambient.now());
    let outcome = session.pipeline(steps).await;
    match outcome {
        Ok(_) => Ok(Some(last)),
        Err(fault) => {
            session.client().batch_execute("rollback").await?;
            Err(match fault {
                Fault::Duplicate => duplicate_in(table, &stored).into(),
                fault => fault,
            })
        }
    }
}

fn steps_of_writing<'a>(
    table: &'a Table,
    statements: &'a Statements,
    stored: &[Document],
    now: Timestamp,
) -> Vec<Step<'a>> {
    let width = table.collection.indexes.len() + table.collection.uniques.len();
    let mut columns: Vec<Vec<Option<Vec<u8>>>> = vec![Vec::new(); width];
    let (mut ids, mut positions, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    for document in stored {
        let mut projection = Projection::of(document);
        if document.is_expired(now) {
            projection.guards.clear(); // its values are free
        }
        for (column, value) in columns.iter_mut().zip(columns_of(table, &projection)) {
            column.push(value);
        }
        let id = document.key.id().to_owned();
        for term in &projection.terms {
            positions.push(term_position(term, &id));
            owners.push(id.clone());
        }
        ids.push(id);
    }
    let mut params: Vec<Param<'a>> = vec![Box::new(ids)];
    params.extend(columns.into_iter().map(|column| Box::new(column) as Param<'a>));
    let mut steps = vec![Step::Call(Call { sql: &statements.write, params })];
    if !positions.is_empty() {
        let params: Vec<Param<'a>> = vec![Box::new(positions), Box::new(owners)];
        steps.push(Step::Call(Call { sql: &table.locked.insert_terms, params }));
    }
    steps.push(Step::Plain("commit"));
    steps
}

/// A row of a writer that did not know of the attribute yet holds a value twice.
fn duplicate_in(table: &Table, stored: &[Document]) -> Error {
    let mut seen = BTreeMap::new();
    for document in stored {
        for guard in Projection::of(document).guards {
            if let Some(other) = seen.insert(guard.clone(), document.key.id()) {
                return Error::Invalid(format!(
                    "`{}` of `{}` cannot be unique: the documents `{other}` and `{}` have the same value",
                    guard.attribute(),
                    table.collection.name,
                    document.key.id()
                ));
            }
        }
    }
    Error::Invalid(format!(
        "documents of `{}` have the same value of a unique attribute",
        table.collection.name
    ))
}
