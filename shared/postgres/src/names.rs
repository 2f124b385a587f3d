//! The names of stored objects. A `$` separates the parts that this crate adds from declared names. Unquoted names
//! may contain a `$`, but declared names cannot, so these names never clash.

use switchyard_database::Collection;

use crate::hash::fnv1a;

/// PostgreSQL truncates longer names.
const MAX_NAME_BYTES: usize = 63;

/// The table that lists the structures of each collection.
pub(crate) const STRUCTURES: &str = "switchyard$structures";

/// Returns the table of a collection, quoted.
pub(crate) fn table(collection: &Collection) -> String {
    quoted(collection.name)
}

pub(crate) fn terms_table(collection: &str, digest: &str) -> String {
    format!("{collection}$terms${digest}")
}

pub(crate) fn view(collection: &str) -> String {
    format!("{collection}_view")
}

/// Returns a name that is short enough. The same name always has the same short form.
pub(crate) fn short(name: &str) -> String {
    if name.len() <= MAX_NAME_BYTES {
        return name.to_owned();
    }
    let digest = format!("${:016x}", fnv1a([name.as_bytes()]));
    let keep = name.floor_char_boundary(MAX_NAME_BYTES - digest.len());
    format!("{}{digest}", &name[..keep])
}

/// Returns a quoted SQL identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns an SQL string literal that does not depend on `standard_conforming_strings`.
pub(crate) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
