//! The names of what is stored. A `$` separates what the layer adds from what is declared: it may stand in a name
//! without quotes, and declared names cannot contain it, so nothing clashes.

use switchyard_database::Collection;

/// PostgreSQL cuts longer names.
const MAX_NAME_BYTES: usize = 63;

/// Which structures each collection has, as of the last migration.
pub(crate) const STRUCTURES: &str = "switchyard$structures";

pub(crate) fn terms_table(collection: &str) -> String {
    format!("{collection}$terms")
}

pub(crate) fn view(collection: &str) -> String {
    format!("{collection}_view")
}

/// The column that holds a document's place in an index.
pub(crate) fn index_column(index: &str) -> String {
    format!("index${index}")
}

/// The column that holds a document's value of a unique attribute.
pub(crate) fn unique_column(attribute: &str) -> String {
    format!("unique${attribute}")
}

/// The index on a column of a collection's table. Index names share one space with tables.
pub(crate) fn index_on(collection: &str, column: &str) -> String {
    short(&format!("{collection}${column}"))
}

pub(crate) fn table(collection: &Collection) -> String {
    quoted(collection.name)
}

/// A name that fits, the same one every time.
pub(crate) fn short(name: &str) -> String {
    if name.len() <= MAX_NAME_BYTES {
        return name.to_owned();
    }
    let digest = format!("${:016x}", crate::hash::fnv1a([name.as_bytes()]));
    let keep = name.floor_char_boundary(MAX_NAME_BYTES - digest.len());
    format!("{}{digest}", &name[..keep])
}

/// An identifier in SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string in SQL, whatever `standard_conforming_strings` says.
pub(crate) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
