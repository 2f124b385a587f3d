//! The names of what is stored. A `$` separates what the layer adds from what is declared: it may stand in a name
//! without quotes, and declared names cannot contain it, so nothing clashes.

use switchyard_database::Collection;

use crate::hash::fnv1a;

/// PostgreSQL cuts longer names.
const MAX_NAME_BYTES: usize = 63;

/// Which structures each collection has.
pub(crate) const STRUCTURES: &str = "switchyard$structures";

/// The quoted table of a collection.
pub(crate) fn table(collection: &Collection) -> String {
    quoted(collection.name)
}

pub(crate) fn terms_table(collection: &str, digest: &str) -> String {
    format!("{collection}$terms${digest}")
}

pub(crate) fn view(collection: &str) -> String {
    format!("{collection}_view")
}

/// A name that fits, the same one every time.
pub(crate) fn short(name: &str) -> String {
    if name.len() <= MAX_NAME_BYTES {
        return name.to_owned();
    }
    let digest = format!("${:016x}", fnv1a([name.as_bytes()]));
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
