//! Adds tables and columns before they are needed, and drops them long after they are no longer needed.

use std::time::Duration;

use switchyard_database::{Collection, Error};
use tokio_postgres::types::Type;

use super::stored::{self, Stored};
use super::transact;
use crate::Postgres;
use crate::fault::Outcome;
use crate::names::{self, quoted};
use crate::read::column;
use crate::session::Session;
use crate::sql::Sql;
use crate::structure::{Kind, Structure};

/// How long a structure that is no longer declared is kept for instances of a program that still declares it: as
/// long as a deployment or its rollback may take.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Adds the tables and columns that are missing, in one transaction.
pub(super) async fn add(
    database: &Postgres,
    session: &Session,
    collection: &Collection,
    missing: &[&Structure],
) -> Outcome<()> {
    let table = names::table(collection);
    let is_ours = is_ours(session, collection).await?;
    if is_ours == Some(true) && missing.is_empty() {
        return Ok(());
    }
    if is_ours == Some(false) {
        return Err(Error::Invalid(format!(
            "the table `{}` exists already and was not created by this program; choose another schema",
            collection.name
        ))
        .into());
    }
    let mut statements = vec![format!(
        "create table if not exists {table} (id text collate \"C\" primary key, version bytea not null, \
         doc jsonb not null, expires_at bigint, layout bigint not null)"
    )];
    for structure in missing {
        let storage = quoted(&structure.storage(collection.name));
        match structure.kind {
            Kind::Index | Kind::Unique => {
                statements.push(format!("alter table {table} add column if not exists {storage} bytea"));
            }
            Kind::Search => statements.push(format!(
                "create table if not exists {storage} (position bytea primary key, id text collate \"C\" not null)"
            )),
            Kind::Expiry => {}
        }
        // A structure that was declared before may still have old values, which would conflict with its unique
        // index.
        if structure.kind == Kind::Unique {
            statements.push(format!("drop index if exists {}", quoted(&structure.index(collection.name))));
        }
        statements.push(stored::note_begun(collection, structure));
    }
    transact(database, session, &statements).await
}

/// Records structures that are no longer declared, and drops those that have not been declared for long. The
/// expiry structure is kept, because the expiring documents still exist. A role that does not own the table leaves that to
/// the next migration by its owner.
pub(super) async fn retire(
    database: &Postgres,
    session: &Session,
    collection: &Collection,
    undeclared: &[&Stored],
) -> Outcome<()> {
    if undeclared.is_empty() || !is_owner(session, collection).await? {
        return Ok(());
    }
    let now = database.ambient.now();
    let mut statements = Vec::new();
    for Stored { structure, retired_at, .. } in undeclared {
        let storage = quoted(&structure.storage(collection.name));
        match (retired_at, structure.kind) {
            (_, Kind::Expiry) => {}
            (None, _) => statements.push(stored::note_retired(collection, structure, now)),
            (Some(retired_at), _) if now.since(*retired_at) < KEPT => {}
            (Some(_), Kind::Index | Kind::Unique) => {
                statements.push(format!(
                    "alter table {} drop column if exists {storage}",
                    names::table(collection)
                ));
                statements.push(stored::forget(collection, structure));
            }
            (Some(_), Kind::Search) => {
                statements.push(format!("drop table if exists {storage}"));
                statements.push(stored::forget(collection, structure));
            }
        }
    }
    if statements.is_empty() { Ok(()) } else { transact(database, session, &statements).await }
}

/// Returns whether the role has the rights of the table's owner.
async fn is_owner(session: &Session, collection: &Collection) -> Outcome<bool> {
    let sql = Sql::new(
        "select pg_has_role(relowner, 'usage') from pg_class where oid = to_regclass($1)",
        &[Type::TEXT],
    );
    let rows = session.query(&sql, &[&names::table(collection)]).await?;
    Ok(rows.first().map(|row| column(row, 0, &collection.name)).transpose()?.unwrap_or(false))
}

/// Returns whether the table has the columns that every collection table has, or `None` if there is no table.
async fn is_ours(session: &Session, collection: &Collection) -> Outcome<Option<bool>> {
    let sql = Sql::new(
        "select count(*) = 5 from pg_attribute where attrelid = to_regclass($1) \
         and attname in ('id', 'version', 'doc', 'expires_at', 'layout') having to_regclass($1) is not null",
        &[Type::TEXT],
    );
    let rows = session.query(&sql, &[&names::table(collection)]).await?;
    Ok(rows.first().map(|row| column(row, 0, &collection.name)).transpose()?)
}
