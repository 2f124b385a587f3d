//! What a row says of the declaration under which it was written, so that a migration finds the rows to bring up to
//! date: those of the time before, and those that instances of the program before go on writing.

use switchyard_database::Collection;

use crate::hash::fnv1a;

/// Raised when the encoding of index entries or the making of search terms changes.
const FORMAT: &str = "1";

/// A number for everything that index columns, unique columns and search terms follow from.
pub(crate) fn of(collection: &Collection) -> i64 {
    let mut text = FORMAT.to_owned();
    for index in collection.indexes {
        text += &format!(
            "; index {}: {} / {}",
            index.name,
            described(collection, index.partition),
            described(collection, index.sort)
        );
    }
    for unique in collection.uniques {
        text += &format!("; unique {}: {}", unique.name, described(collection, unique.fields));
    }
    text += &format!("; search {}", described(collection, collection.search));
    fnv1a([text.as_bytes()]).cast_signed()
}

/// Fields with their kinds, which decide what is a value of theirs.
pub(crate) fn described(collection: &Collection, fields: &[&str]) -> String {
    let described = fields.iter().map(|name| match collection.field(name) {
        Some(field) => format!("{name:?} {:?}", field.kind),
        None => format!("{name:?}"),
    });
    described.collect::<Vec<_>>().join(", ")
}
