//! Tables and columns.

use switchyard_database::{Collection, Error};
use tokio_postgres::types::Type;

use super::structures::{self, Kind, Stored, Structure};
use super::transact;
use crate::Postgres;
use crate::fault::Outcome;
use crate::names::{self, quoted};
use crate::session::Session;
use crate::sql::Sql;

/// Adds what is missing and drops what is no longer declared, in one transaction.
pub(super) async fn bring(
    database: &Postgres,
    session: &Session,
    collection: &Collection,
    declared: &[Structure],
    stored: &[Stored],
) -> Outcome<()> {
    let table = names::table(collection);
    let mut statements = vec![format!(
        "create table if not exists {table} (id text collate \"C\" primary key, version uuid not null, \
         doc jsonb not null, expires_at bigint, layout bigint not null)"
    )];
    for old in stored.iter().filter(|stored| !declared.iter().any(|structure| stored.is(structure))) {
        let is_changed = declared.iter().any(|structure| old.names(structure));
        statements.extend(removal(collection, old, is_changed));
        statements.push(structures::forget(collection, old));
    }
    for new in declared.iter().filter(|structure| !stored.iter().any(|stored| stored.is(structure))) {
        statements.extend(addition(collection, new));
        statements.push(structures::note_begun(collection, new));
    }
    if statements.len() == 1 && is_ours(session, collection).await? == Some(true) {
        return Ok(());
    }
    transact(database, session, &statements).await?;
    match is_ours(session, collection).await? {
        Some(true) => Ok(()),
        _ => Err(Error::Invalid(format!(
            "the table `{}` is there already and is not one of this program's: choose another schema",
            collection.name
        ))
        .into()),
    }
}

/// A changed column is emptied by dropping it: the rows' layout says that it has to be filled again.
fn removal(collection: &Collection, old: &Stored, is_changed: bool) -> Vec<String> {
    let table = names::table(collection);
    let drop_column = |column: &str| format!("alter table {table} drop column if exists {}", quoted(column));
    match &*old.kind {
        "index" => vec![drop_column(&names::index_column(&old.name))],
        "unique" => vec![drop_column(&names::unique_column(&old.name))],
        "search" if is_changed => vec![format!("truncate {}", quoted(&names::terms_table(collection.name)))],
        "search" => vec![format!("drop table if exists {}", quoted(&names::terms_table(collection.name)))],
        "expiry" => {
            vec![format!("drop index if exists {}", quoted(&names::index_on(collection.name, "expires_at")))]
        }
        _ => Vec::new(),
    }
}

fn addition(collection: &Collection, new: &Structure) -> Vec<String> {
    let table = names::table(collection);
    let add_column =
        |column: &str| format!("alter table {table} add column if not exists {} bytea", quoted(column));
    let terms = names::terms_table(collection.name);
    match new.kind {
        Kind::Index => vec![add_column(&names::index_column(&new.name))],
        Kind::Unique => vec![add_column(&names::unique_column(&new.name))],
        Kind::Search => vec![format!(
            "create table if not exists {} (position bytea primary key, id text collate \"C\" not null)",
            quoted(&terms)
        )],
        Kind::Expiry => Vec::new(),
    }
}

/// Whether the table has the columns that every table of ours has; `None`: there is no table.
async fn is_ours(session: &Session, collection: &Collection) -> Outcome<Option<bool>> {
    let sql = Sql::new(
        "select count(*) = 5 from pg_attribute where attrelid = to_regclass($1) \
         and attname in ('id', 'version', 'doc', 'expires_at', 'layout') having to_regclass($1) is not null",
        &[Type::TEXT],
    );
    let rows = session.query(&sql, &[&names::table(collection)]).await?;
    Ok(rows.first().map(|row| crate::read::column(row, 0, &collection.name)).transpose()?)
}
