//! Statements that read.

use tokio_postgres::types::Type;

use super::{Writer, is_live};
use crate::sql::Sql;

/// Statements that read.
#[derive(Debug)]
pub(crate) struct Reads {
    /// `id` → document.
    pub(crate) get: Sql,
    /// `ids` → documents.
    pub(crate) get_many: Sql,
    /// For each unique attribute: value → document.
    pub(crate) lookup: Vec<Sql>,
    /// For each index, ascending and descending: `from, to, now, limit` → position and document.
    pub(crate) range: Vec<[Sql; 2]>,
    /// The same for the search terms, if there are any.
    pub(crate) terms: Option<[Sql; 2]>,
    /// `after, now, limit` → documents.
    pub(crate) scan: Sql,
}

const DOCUMENT: &str = "id, version, doc, expires_at";

impl Reads {
    pub(super) fn new(writer: &Writer) -> Self {
        let Writer { table, storage, .. } = writer;
        let by_unique = |column: &String| {
            Sql::new(format!("select {DOCUMENT} from {table} where {column} = $1"), &[Type::BYTEA])
        };
        let by_index = |column: &String| range(&format!("d.{column}"), &format!("{table} d"));
        let by_term =
            |terms: &String| range("t.position", &format!("{terms} t join {table} d on d.id = t.id"));
        Self {
            get: Sql::new(
                format!("select version, doc, expires_at from {table} where id = $1"),
                &[Type::TEXT],
            ),
            get_many: Sql::new(
                format!("select {DOCUMENT} from {table} where id = any($1)"),
                &[Type::TEXT_ARRAY],
            ),
            lookup: storage.uniques.iter().map(by_unique).collect(),
            range: storage.indexes.iter().map(by_index).collect(),
            terms: storage.terms.as_ref().map(by_term),
            scan: Sql::new(
                format!(
                    "select {DOCUMENT} from {table} where id > $1 and {} order by id limit $3",
                    is_live("$2")
                ),
                &[Type::TEXT, Type::INT8, Type::INT8],
            ),
        }
    }
}

fn range(column: &str, source: &str) -> [Sql; 2] {
    ["asc", "desc"].map(|direction| {
        Sql::new(
            format!(
                "select {column}, d.id, d.version, d.doc, d.expires_at from {source} \
                 where {column} >= $1 and {column} < $2 and (d.expires_at is null or d.expires_at > $3) \
                 order by {column} {direction} limit $4"
            ),
            &[Type::BYTEA, Type::BYTEA, Type::INT8, Type::INT8],
        )
    })
}
