//! What the tables of a collection are called, and for which declaration they were made.

use rusqlite::Connection;
use switchyard_database::{Collection, Index, Unique};

/// Changes when the encoding of keys or the making of terms does: everything derived is then derived again.
const DERIVATION: u32 = 1;

/// Something that is kept beside the documents of a collection and follows from its declaration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) kind: PartKind,
    pub(crate) name: String,
    /// What it is derived from: when this changes, it is derived again.
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
    /// The column that holds it, without quotes.
    pub(crate) fn column(&self) -> String {
        match self.kind {
            PartKind::Index => index_column(&self.name),
            PartKind::Unique => unique_column(&self.name),
            PartKind::Search => "terms".to_owned(),
        }
    }
}

/// What `collection` declares, in order.
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

/// Creates the table of layouts.
pub(crate) fn create_table(connection: &Connection) -> rusqlite::Result<()> {
    // `filled_to`: the last id whose document was entered, while older documents are being entered; then NULL.
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

/// What the tables of a collection were made for, in order.
pub(crate) fn stored_parts(connection: &Connection, collection: &str) -> rusqlite::Result<Vec<Part>> {
    Ok(stored(connection, collection)?.into_iter().map(|(part, _)| part).collect())
}

/// The same, each with the id up to which the documents that were there before have been entered; `None`: all of them.
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

/// Notes up to which id the documents that were there before have been entered.
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

/// The collections that have tables.
pub(crate) fn stored_collections(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT collection FROM _switchyard_layout WHERE kind = 'table' ORDER BY 1",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

// Names of collections, indexes and attributes are of a-z, 0-9 and _, a letter first (`Schema::new`), so the names
// below need no escaping inside their quotes, and none of them can be a collection's.

/// The table of a collection's documents, quoted: it may be a word of SQL.
pub(crate) fn table(collection: &str) -> String {
    format!("\"{collection}\"")
}

/// The table of a collection's search terms.
pub(crate) fn terms_table(collection: &str) -> String {
    format!("_{collection}_terms")
}

/// The view of a collection for people.
pub(crate) fn view(collection: &str) -> String {
    format!("_{collection}_view")
}

/// The column of an index.
pub(crate) fn index_column(index: &str) -> String {
    format!("i_{index}")
}

/// The column of a unique attribute.
pub(crate) fn unique_column(attribute: &str) -> String {
    format!("u_{attribute}")
}

/// The b-tree over one column of a collection's table, quoted.
pub(crate) fn tree(collection: &str, column: &str) -> String {
    format!("\"{collection}.{column}\"")
}
