//! Statements that update rows with another layout.

use tokio_postgres::types::Type;

use super::Writer;
use crate::sql::{Parameters, Sql};

/// Statements that update rows with another layout.
#[derive(Debug)]
pub(crate) struct Backfill {
    /// Returns a row if there is a row to update.
    pub(crate) any: Sql,
    /// `after, limit` → documents, locked. Skips documents that are locked by others.
    pub(crate) read_free: Sql,
    /// `after, limit` → documents, locked. Waits for documents that are locked by others.
    pub(crate) read: Sql,
    /// `ids, derived columns…`.
    pub(crate) write: Sql,
}

impl Backfill {
    pub(super) fn new(writer: &Writer) -> Self {
        let Writer { table, layout, storage, .. } = writer;
        let mut parameters = Parameters::default();
        let mut values = vec![parameters.next(Type::TEXT_ARRAY)];
        let (mut names, mut sets) = (vec!["key".to_owned()], vec![format!("layout = {layout}")]);
        for (place, column) in storage.derived().enumerate() {
            values.push(parameters.next(Type::BYTEA_ARRAY));
            names.push(format!("c{place}"));
            sets.push(format!("{column} = c{place}"));
        }
        let write = format!(
            "update {table} set {} from unnest({}) u ({}) where id = key",
            sets.join(", "),
            values.join(", "),
            names.join(", ")
        );
        let read = |locked: &str| {
            let text = format!(
                "select id, version, doc, expires_at from {table} where layout <> {layout} and id > $1 \
                 order by id limit $2 for no key update{locked}"
            );
            Sql::new(text, &[Type::TEXT, Type::INT8])
        };
        Self {
            any: Sql::new(format!("select from {table} where layout <> {layout} limit 1"), &[]),
            read_free: read(" skip locked"),
            read: read(""),
            write: parameters.into_sql(write),
        }
    }
}
