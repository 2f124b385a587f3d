//! Indexes, built while others write.

use switchyard_database::{Collection, Error};
use tokio_postgres::types::Type;

use super::structures::{Kind, Structure};
use crate::fault::{Fault, Outcome};
use crate::names::{self, quoted};
use crate::read::column;
use crate::session::Session;
use crate::sql::Sql;

/// Builds the indexes of a structure.
pub(super) async fn build(session: &Session, collection: &Collection, structure: &Structure) -> Outcome<()> {
    let table = collection.name;
    match structure.kind {
        Kind::Index => {
            let column = names::index_column(&structure.name);
            create(session, &names::index_on(table, &column), "index", table, &quoted(&column)).await
        }
        Kind::Unique => {
            let column = names::unique_column(&structure.name);
            refuse_duplicates(session, collection, &structure.name).await?;
            let name = names::index_on(table, &column);
            match create(session, &name, "unique index", table, &quoted(&column)).await {
                Err(Fault::Duplicate) => {
                    refuse_duplicates(session, collection, &structure.name).await?;
                    Err(Fault::Contended) // they are gone again
                }
                outcome => outcome,
            }
        }
        Kind::Search => {
            // Who expires leaves search terms behind, which are found by the id.
            let terms = names::terms_table(table);
            if !collection.expiring {
                return Ok(());
            }
            create(session, &names::index_on(&terms, "id"), "index", &terms, "id").await
        }
        Kind::Expiry => {
            let name = names::index_on(table, "expires_at");
            create(session, &name, "index", table, "expires_at").await?;
            match collection.search {
                [] => Ok(()),
                _ => {
                    let terms = names::terms_table(table);
                    create(session, &names::index_on(&terms, "id"), "index", &terms, "id").await
                }
            }
        }
    }
}

/// Creates an index that is not there, or was left unfinished.
async fn create(session: &Session, name: &str, kind: &str, table: &str, column: &str) -> Outcome<()> {
    let name = quoted(name);
    match is_valid(session, &name).await? {
        Some(true) => return Ok(()),
        Some(false) => session.client().batch_execute(&format!("drop index {name}")).await?,
        None => {}
    }
    let condition = if column == "expires_at" { " where expires_at is not null" } else { "" };
    let text = format!("create {kind} concurrently {name} on {} ({column}){condition}", quoted(table));
    let outcome = session.client().batch_execute(&text).await;
    if outcome.is_err() {
        let _ = session.client().batch_execute(&format!("drop index if exists {name}")).await;
    }
    Ok(outcome?)
}

async fn is_valid(session: &Session, name: &str) -> Outcome<Option<bool>> {
    let sql = Sql::new("select indisvalid from pg_index where indexrelid = to_regclass($1)", &[Type::TEXT]);
    let rows = session.query(&sql, &[&name]).await?;
    Ok(rows.first().map(|row| column(row, 0, &name)).transpose()?)
}

/// Two documents with one value of an attribute that is to be unique: someone has to decide which one keeps it.
async fn refuse_duplicates(session: &Session, collection: &Collection, attribute: &str) -> Outcome<()> {
    let value = quoted(&names::unique_column(attribute));
    let sql = Sql::new(
        format!(
            "select min(id), max(id) from {} where {value} is not null group by {value} having count(*) > 1 limit 1",
            names::table(collection)
        ),
        &[],
    );
    let rows = session.query(&sql, &[]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (one, other): (&str, &str) = (column(row, 0, &attribute)?, column(row, 1, &attribute)?);
    Err(Error::Invalid(format!(
        "`{attribute}` of `{}` cannot become unique: the documents `{one}` and `{other}` have the same value; change \
         one of them and migrate again",
        collection.name
    ))
    .into())
}
