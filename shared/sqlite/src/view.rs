//! Defines a view of each collection for people.

use switchyard_database::{Collection, Field, FieldKind};

use crate::layout;

/// Returns the statement that creates the view of a collection, with its declared fields as columns and times as
/// text.
pub(crate) fn definition(collection: &Collection) -> String {
    let mut columns = vec!["id".to_owned()];
    // A JSON path cannot contain a field name with a quote.
    let fields = collection.fields.iter().filter(|field| !field.name.contains(['"', '\'']));
    columns.extend(fields.filter(|field| field.name != "id").map(column));
    columns.push("lower(hex(version)) AS _version".to_owned());
    columns.push(format!("{} AS _expires_at", readable("expires_at")));
    format!(
        "CREATE VIEW {} AS SELECT {} FROM {}",
        layout::view(collection.name),
        columns.join(", "),
        layout::table(collection.name)
    )
}

fn column(field: &Field) -> String {
    let value = format!("json_extract(doc, '$.\"{}\"')", field.name);
    let shown = if field.kind == FieldKind::Time { readable(&value) } else { value };
    format!("{shown} AS \"{}\"", field.name)
}

/// Returns an expression that formats microseconds like `2026-03-01T08:30:00.000Z`.
fn readable(micros: &str) -> String {
    format!("strftime('%Y-%m-%dT%H:%M:%fZ', ({micros} / 1000) / 1000.0, 'unixepoch')")
}
