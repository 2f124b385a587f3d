//! The names of the tables of a collection, and the declarations for which they were created.

use rusqlite::Connection;
use switchyard_database::{Collection, Index, Unique};

/// Must be increased when the encoding of keys or the extraction of search terms changes. All derived data is then
/// derived again.
const DERIVATION: u32 = 1;

/// Data derived from the documents of a collection: an index, a unique attribute or the search terms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) kind: PartKind,
    pub(crate) name: String,
    /// What the part is derived from. When this changes, the part is derived again.
    pub(crate) definition: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PartKind {
    Index,
    Unique,
    Search,
}

impl PartKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Unique => "unique",
            Self::Search => "search",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Index, Self::Unique, Self::Search].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl Part {
    /// Returns the name of the column that holds the part, without quotes.
    pub(crate) fn column(&self) -> String {
        match self.kind {
            PartKind::Index => index_column(&self.name),
            PartKind::Unique => unique_column(&self.name),
            PartKind::Search => "terms".to_owned(),
        }
    }
}

/// Returns the parts that `collection` declares, in order.
pub(crate) fn parts(collection: &Collection) -> Vec<Part> {
    let part = |kind, name: &str, definition: String| Part {
        kind,
        name: name.to_owned(),
        definition: format!("{DERIVATION}: {definition}"),
    };
    let mut parts = Vec::new();
    for Index { name, partition, sort, .. } in collection.indexes {
        let definition =
            format!("({}) ({})", collection.definition_of(partition), collection.definition_of(sort));
        parts.push(part(PartKind::Index, name, definition));
    }
    for Unique { name, fields } in collection.uniques {
        parts.push(part(PartKind::Unique, name, format!("({})", collection.definition_of(fields))));
    }
    if !collection.search.is_empty() {
        parts.push(part(
            PartKind::Search,
            "terms",
            format!("({})", collection.definition_of(collection.search)),
        ));
    }
    parts.sort();
    parts
}

/// Creates the layout table.
pub(crate) fn create_table(connection: &Connection) -> rusqlite::Result<()> {
    // `filled_to` is the id of the last document that was entered while existing documents are being entered, and
    // NULL afterwards.
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS _switchyard_layout (
            collection TEXT NOT NULL,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            definition TEXT NOT NULL,
            filled_to TEXT,
            PRIMARY KEY (collection, kind, name)
        ) STRICT, WITHOUT ROWID",
    )
}

/// Returns the stored parts of a collection, in order.
pub(crate) fn stored_parts(connection: &Connection, collection: &str) -> rusqlite::Result<Vec<Part>> {
    Ok(stored(connection, collection)?.into_iter().map(|(part, _)| part).collect())
}

/// Returns the stored parts of a collection, in order. Each comes with the id up to which existing documents have
/// been entered, or `None` if all have been entered.
pub(crate) fn stored(
    connection: &Connection,
    collection: &str,
) -> rusqlite::Result<Vec<(Part, Option<String>)>> {
    let mut statement = connection.prepare_cached(
        "SELECT kind, name, definition, filled_to FROM _switchyard_layout WHERE collection = ?1",
    )?;
    let mut rows = statement.query([collection])?;
    let mut parts = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(kind) = PartKind::parse(row.get_ref(0)?.as_str()?) {
            parts.push((Part { kind, name: row.get(1)?, definition: row.get(2)? }, row.get(3)?));
        }
    }
    parts.sort();
    Ok(parts)
}

/// Records the id up to which existing documents have been entered.
pub(crate) fn set_filled_to(
    connection: &Connection,
    collection: &str,
    part: &Part,
    filled_to: Option<&str>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE _switchyard_layout SET filled_to = ?4 WHERE collection = ?1 AND kind = ?2 AND name = ?3",
        )?
        .execute((collection, part.kind.as_str(), &part.name, filled_to))
        .map(drop)
}

/// Whether a collection has search terms.
pub(crate) fn is_searchable(connection: &Connection, collection: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM _switchyard_layout WHERE collection = ?1 AND kind = 'search'")?
        .exists([collection])
}

/// Returns the collections that have tables.
pub(crate) fn stored_collections(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT collection FROM _switchyard_layout WHERE kind = 'table' ORDER BY 1",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

// Names of collections, indexes and attributes consist of a-z, 0-9 and _, and start with a letter (`Schema::new`).
// So the names below need no escaping inside quotes, and none of them can be the name of a collection.

/// Returns the table of a collection's documents. The name is quoted, because it may be an SQL keyword.
pub(crate) fn table(collection: &str) -> String {
    format!("\"{collection}\"")
}

/// Returns the table of a collection's search terms.
pub(crate) fn terms_table(collection: &str) -> String {
    format!("_{collection}_terms")
}

/// Returns the view of a collection for people.
pub(crate) fn view(collection: &str) -> String {
    format!("_{collection}_view")
}

/// Returns the column of an index.
pub(crate) fn index_column(index: &str) -> String {
    format!("i_{index}")
}

/// Returns the column of a unique attribute.
pub(crate) fn unique_column(attribute: &str) -> String {
    format!("u_{attribute}")
}

/// Returns the index on one column of a collection's table, quoted.
pub(crate) fn tree(collection: &str, column: &str) -> String {
    format!("\"{collection}.{column}\"")
}
