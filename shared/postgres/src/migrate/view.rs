//! A view of each collection with its declared fields as columns, for people and reports.

use switchyard_database::{Collection, Field, FieldKind};

use super::transact;
use crate::Postgres;
use crate::fault::Outcome;
use crate::names::{self, literal, quoted};
use crate::session::Session;

pub(super) async fn bring(database: &Postgres, session: &Session, collection: &Collection) -> Outcome<()> {
    let view = quoted(&names::view(collection.name));
    let statements =
        [format!("drop view if exists {view}"), format!("create view {view} as {}", select(collection))];
    transact(database, session, &statements).await
}

fn select(collection: &Collection) -> String {
    let mut columns = vec!["id".to_owned()];
    for field in collection.fields.iter().filter(|field| field.name != "id") {
        columns.push(format!("{} as {}", expression(field), quoted(&names::short(field.name))));
    }
    let is_declared = |name: &str| collection.fields.iter().any(|field| field.name == name);
    if !is_declared("version") {
        columns.push("version".to_owned());
    }
    let mut condition = String::new();
    if collection.expiring {
        if !is_declared("expires_at") {
            columns.push(format!("{} as expires_at", time("expires_at")));
        }
        condition =
            " where expires_at is null or expires_at > extract(epoch from now()) * 1000000".to_owned();
    }
    format!("select {} from {}{condition}", columns.join(", "), names::table(collection))
}

/// Of a value of another kind, as documents from before the declaration may have, a column shows nothing: a view that
/// fails on one document shows none.
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

/// Microseconds as a moment, exactly, where PostgreSQL has it: years -4712 to 9999.
fn time(micros: &str) -> String {
    format!(
        "case when {micros} between -210866803200000000 and 253402300799999999 then \
         to_timestamp({micros} / 1000000) + ({micros} % 1000000) * interval '1 microsecond' end"
    )
}
