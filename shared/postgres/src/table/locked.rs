//! Statements of a transaction that has locked everything that it uses.

use tokio_postgres::types::Type;

use super::{Writer, list};
use crate::sql::{Parameters, Sql};

/// Statements of a transaction that has locked everything that it uses.
#[derive(Debug)]
pub(crate) struct Locked {
    /// `ids, ids of those whose content is needed` → documents, locked for a write.
    pub(crate) read_for_write: Sql,
    /// `ids` → documents without their content, locked against writes.
    pub(crate) read_for_check: Sql,
    /// `ids` → documents without their content.
    pub(crate) read_unlocked: Sql,
    /// For each unique attribute: `values` → the values and the documents in whose rows they are.
    pub(crate) owners: Vec<Sql>,
    /// `ids, now`: removes documents that have expired.
    pub(crate) remove_expired: Sql,
    /// For each unique attribute: `ids`: removes the values of these documents.
    pub(crate) release: Vec<Sql>,
    /// For each unique attribute: `id, version`: removes the value of a document if it still has that version.
    pub(crate) release_stale: Vec<Sql>,
    /// `id, version, doc, expires_at, columns…`.
    pub(crate) insert: Sql,
    /// `id, version, doc, expires_at, columns…`.
    pub(crate) update: Sql,
    /// `id`.
    pub(crate) delete: Sql,
    pub(crate) terms: Option<Terms>,
}

/// Statements on the table of search terms.
#[derive(Debug)]
pub(crate) struct Terms {
    /// `positions, ids`.
    pub(crate) insert: Sql,
    /// `positions`.
    pub(crate) delete: Sql,
}

impl Locked {
    pub(super) fn new(writer: &Writer) -> Self {
        let Writer { table, storage, .. } = writer;
        let read = |doc: &str, lock: &str| {
            format!("select id, version, {doc}, expires_at from {table} where id = any($1){lock}")
        };
        let by_unique = |text: &dyn Fn(&str) -> String, types: &[Type]| {
            storage.uniques.iter().map(|column| Sql::new(text(column), types)).collect::<Vec<_>>()
        };
        let expired = format!("delete from {table} where id = any($1) and expires_at <= $2");
        let remove_expired = match &storage.terms {
            Some(terms) => format!(
                "with gone as ({expired} returning id) delete from {terms} t using gone where t.id = gone.id"
            ),
            None => expired,
        };
        let terms = storage.terms.as_ref().map(|terms| Terms {
            insert: Sql::new(
                format!(
                    "insert into {terms} (position, id) select * from unnest($1, $2) on conflict do nothing"
                ),
                &[Type::BYTEA_ARRAY, Type::TEXT_ARRAY],
            ),
            delete: Sql::new(format!("delete from {terms} where position = any($1)"), &[Type::BYTEA_ARRAY]),
        });
        let mut insert = Parameters::default();
        let row = writer.row(&mut insert);
        let insert = insert.into_sql(format!(
            "insert into {table} ({}) values ({})",
            list(&row, |(name, _)| name.clone()),
            list(&row, |(_, value)| value.clone())
        ));
        let update =
            Sql::new(format!("update {table} set {} where id = $1", writer.sets(&row)), &insert.types);
        Self {
            read_for_write: Sql::new(
                read("case when id = any($2) then doc end", " for update"),
                &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
            ),
            read_for_check: Sql::new(read("null::jsonb", " for share"), &[Type::TEXT_ARRAY]),
            read_unlocked: Sql::new(read("null::jsonb", ""), &[Type::TEXT_ARRAY]),
            owners: by_unique(
                &|column| {
                    format!(
                        "select {column}, id, version, doc, expires_at from {table} where {column} = any($1)"
                    )
                },
                &[Type::BYTEA_ARRAY],
            ),
            remove_expired: Sql::new(remove_expired, &[Type::TEXT_ARRAY, Type::INT8]),
            release: by_unique(
                &|column| format!("update {table} set {column} = null where id = any($1)"),
                &[Type::TEXT_ARRAY],
            ),
            release_stale: by_unique(
                &|column| format!("update {table} set {column} = null where id = $1 and version = $2"),
                &[Type::TEXT, Type::BYTEA],
            ),
            insert,
            update,
            delete: Sql::new(format!("delete from {table} where id = $1"), &[Type::TEXT]),
            terms,
        }
    }
}
