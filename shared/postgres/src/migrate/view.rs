//! Creates a view of each collection with its declared fields as columns, for people and reports.

use switchyard_database::{Collection, Error, Field, FieldKind};
use tokio_postgres::types::Type;

use super::transact;
use crate::Postgres;
use crate::fault::{Fault, Outcome};
use crate::hash::fnv1a;
use crate::names::{self, literal, quoted};
use crate::read::column;
use crate::session::Session;
use crate::sql::Sql;

/// Creates or updates the view. A hash of its definition is stored as its comment, so that an unchanged view is
/// not replaced and its readers are not disturbed.
pub(super) async fn create_or_replace(
    database: &Postgres,
    session: &Session,
    collection: &Collection,
) -> Outcome<()> {
    let name = names::view(collection.name);
    let view = quoted(&name);
    let select = select(collection);
    let comment =
        format!("the collection {} for people and reports; {:016x}", collection.name, hash(&select));
    let sql = Sql::new("select obj_description(to_regclass($1), 'pg_class')", &[Type::TEXT]);
    let rows = session.query(&sql, &[&view]).await?;
    let stored: Option<String> = rows.first().map(|row| column(row, 0, &name)).transpose()?.flatten();
    if stored.as_ref() == Some(&comment) {
        return Ok(());
    }
    let comment = format!("comment on view {view} is {}", literal(&comment));
    let replace = [format!("create or replace view {view} as {select}"), comment.clone()];
    // An existing view can only be extended by columns at its end. For all other changes it is dropped.
    match transact(database, session, &replace).await {
        Err(Fault::Final(_)) => {}
        outcome => return outcome,
    }
    let recreate =
        [format!("drop view if exists {view}"), format!("create view {view} as {select}"), comment];
    transact(database, session, &recreate).await.map_err(|fault| match fault {
        Fault::Final(error) => Fault::Final(Error::Invalid(format!(
            "the view `{name}` cannot be updated to the declared fields, perhaps because other views depend \
             on it: {error}"
        ))),
        fault => fault,
    })
}

fn hash(select: &str) -> u64 {
    fnv1a([select.as_bytes()])
}

fn select(collection: &Collection) -> String {
    let is_declared = |name: &str| collection.fields.iter().any(|field| field.name == name);
    let mut columns = vec!["id".to_owned()];
    let mut condition = String::new();
    if !is_declared("version") {
        columns.push("version".to_owned());
    }
    if collection.expiring {
        if !is_declared("expires_at") {
            columns.push(format!("{} as expires_at", time("expires_at")));
        }
        condition =
            " where expires_at is null or expires_at > extract(epoch from now()) * 1000000".to_owned();
    }
    for field in collection.fields.iter().filter(|field| field.name != "id") {
        columns.push(format!("{} as {}", expression(field), quoted(field.name)));
    }
    format!("select {} from {}{condition}", columns.join(", "), names::table(collection))
}

/// Returns the expression for a field. A value of another kind, which a document from before the declaration may
/// have, is shown as null, because an error in one document would make the whole view fail.
fn expression(field: &Field) -> String {
    let value = format!("doc -> {}", literal(field.name));
    let integer = format!(
        "case when jsonb_typeof({value}) = 'number' and ({value})::numeric between {} and {} \
         then ({value})::bigint end",
        i64::MIN,
        i64::MAX
    );
    match field.kind {
        FieldKind::String => format!("doc ->> {}", literal(field.name)),
        FieldKind::Integer => integer,
        FieldKind::Time => time(&format!("({integer})")),
        FieldKind::Boolean => {
            format!("case when jsonb_typeof({value}) = 'boolean' then ({value})::boolean end")
        }
        FieldKind::Json => value,
    }
}

/// Returns an expression that converts microseconds to an exact timestamp, or null outside PostgreSQL's range of
/// 4713 BC to the year 9999.
fn time(micros: &str) -> String {
    format!(
        "case when {micros} between -210866803200000000 and 253402300799999999 then \
         to_timestamp({micros} / 1000000) + ({micros} % 1000000) * interval '1 microsecond' end"
    )
}
