//! Reads ordered ranges. A page starts at the key with which the previous page ended, not at a row number.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use switchyard_ambient::{Ambient, Timestamp};
use switchyard_database::encoding::successor_of_prefix;
use switchyard_database::paging::{Entry, Range, Ranges, Source};
use switchyard_database::{Collection, Document, Key, Result};

use crate::fault::Fault;
use crate::pool::Pool;
use crate::{layout, rows};

/// The ranges of the stored tables.
pub(crate) struct StoredRanges<'a> {
    pub(crate) readers: &'a Arc<Pool>,
    pub(crate) ambient: &'a Ambient,
}

#[async_trait]
impl Ranges for StoredRanges<'_> {
    async fn read_range(&self, range: &Range, at_most: usize) -> Result<Vec<Entry>> {
        let (range, now) = (range.clone(), self.ambient.now());
        let read = move |connection: &Connection| read_range(connection, &range, at_most, now);
        self.readers.read_apart(self.ambient, read).await
    }

    async fn read_collection(
        &self,
        collection: &'static Collection,
        after: Option<&str>,
        at_most: usize,
    ) -> Result<Vec<Document>> {
        let (after, now) = (after.unwrap_or_default().to_owned(), self.ambient.now());
        let read =
            move |connection: &Connection| read_collection(connection, collection, &after, at_most, now);
        self.readers.read_apart(self.ambient, read).await
    }
}

/// A statement that reads a range, and its parameters. Its columns are `position, id, version, doc, expires_at`.
struct Select {
    sql: String,
    parameters: Vec<Value>,
    /// The length of the prefix before each position in its column.
    prefix: usize,
}

impl Select {
    fn new(range: &Range, at_most: usize, now: Timestamp) -> Self {
        let name = range.collection.name;
        let table = layout::table(name);
        let (column, from_clause, prefix) = match &range.source {
            Source::Index { index, partition } => {
                let column = layout::index_column(index.name);
                let tree = layout::tree(name, &column);
                // INDEXED BY makes SQLite use this tree instead of sorting.
                (format!("d.{column}"), format!("{table} AS d INDEXED BY {tree}"), &partition[..])
            }
            Source::Terms { .. } => {
                // CROSS JOIN keeps the order of the tables and so the order of the result.
                let terms = layout::terms_table(name);
                let join = format!("{terms} AS t CROSS JOIN {table} AS d ON d.id = t.id");
                ("t.position".to_owned(), join, &[][..])
            }
        };
        let to = match &range.to {
            Some(to) => Some([prefix, to].concat()),
            None => successor_of_prefix(prefix),
        };
        let mut parameters =
            vec![now.as_micros().into(), limit_of(at_most), [prefix, &range.from].concat().into()];
        let below = match to {
            Some(to) => {
                parameters.push(to.into());
                format!("AND {column} < ?4 ")
            }
            None => String::new(),
        };
        let order = if range.descending { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT {column}, d.id, d.version, d.doc, d.expires_at FROM {from_clause} \
             WHERE {column} >= ?3 {below}AND (d.expires_at IS NULL OR d.expires_at > ?1) \
             ORDER BY {column} {order} LIMIT ?2"
        );
        Self { sql, parameters, prefix: prefix.len() }
    }
}

fn read_range(
    connection: &Connection,
    range: &Range,
    at_most: usize,
    now: Timestamp,
) -> Result<Vec<Entry>, Fault> {
    let select = Select::new(range, at_most, now);
    let mut statement = connection.prepare_cached(&select.sql)?;
    let mut rows = statement.query(params_from_iter(&select.parameters))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let key = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        let position = key.get(select.prefix..).unwrap_or_default().to_vec();
        let key = Key::new(range.collection, row.get::<_, String>(1)?)?;
        entries.push(Entry { position, document: Some(rows::document(key, row, 2)?) });
    }
    Ok(entries)
}

/// Returns documents in the order of their ids. Every id is greater than the empty string.
fn read_collection(
    connection: &Connection,
    collection: &'static Collection,
    after: &str,
    at_most: usize,
    now: Timestamp,
) -> Result<Vec<Document>, Fault> {
    let sql = format!(
        "SELECT id, version, doc, expires_at FROM {} \
         WHERE id > ?1 AND (expires_at IS NULL OR expires_at > ?2) ORDER BY id LIMIT ?3",
        layout::table(collection.name)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((after, now.as_micros(), limit_of(at_most)))?;
    let mut documents = Vec::new();
    while let Some(row) = rows.next()? {
        let key = Key::new(collection, row.get::<_, String>(0)?)?;
        documents.push(rows::document(key, row, 1)?);
    }
    Ok(documents)
}

fn limit_of(at_most: usize) -> Value {
    Value::Integer(i64::try_from(at_most).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use switchyard_database::{Field, Index};

    use super::*;
    use crate::{migrate, open};

    const BY_RANK: Index = Index::new("by_rank").partition(&["group"]).sort(&["rank"]);
    const NOTES: &Collection = &Collection::new("notes")
        .fields(&[Field::string("group"), Field::integer("rank"), Field::string("text")])
        .indexes(&[BY_RANK])
        .search(&["text"])
        .expiring();

    fn plan_of(range: &Range) -> Vec<String> {
        let connection = open::in_memory().unwrap();
        migrate::lay_out(&connection, &[NOTES]).unwrap();
        let select = Select::new(range, 10, Timestamp::from_micros(0));
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", select.sql)).unwrap();
        let rows = statement.query_map(params_from_iter(&select.parameters), |row| row.get("detail"));
        rows.unwrap().map(rusqlite::Result::unwrap).collect()
    }

    #[test]
    fn a_range_of_an_index_is_read_in_its_order_and_nothing_is_sorted() {
        let source = Source::Index { index: &BY_RANK, partition: b"g\0".to_vec() };
        for descending in [false, true] {
            for to in [Some(vec![9]), None] {
                let range = Range {
                    collection: NOTES,
                    source: source.clone(),
                    from: vec![1],
                    to,
                    descending,
                    filters: Vec::new(),
                };
                assert_eq!(
                    plan_of(&range),
                    ["SEARCH d USING INDEX notes.i_by_rank (i_by_rank>? AND i_by_rank<?)"]
                );
            }
        }
    }

    #[test]
    fn an_index_without_partition_is_read_to_its_end() {
        const ALL: Index = Index::new("by_rank").sort(&["rank"]);
        let source = Source::Index { index: &ALL, partition: Vec::new() };
        let range = Range {
            collection: NOTES,
            source,
            from: vec![1],
            to: None,
            descending: true,
            filters: Vec::new(),
        };
        assert_eq!(plan_of(&range), ["SEARCH d USING INDEX notes.i_by_rank (i_by_rank>?)"]);
    }

    #[test]
    fn a_range_of_terms_is_read_in_its_order_and_nothing_is_sorted() {
        let source = Source::Terms { prefix: "a".to_owned() };
        let (from, to) = (b"a".to_vec(), Some(b"b".to_vec()));
        let range = Range { collection: NOTES, source, from, to, descending: false, filters: Vec::new() };
        assert_eq!(
            plan_of(&range),
            [
                "SEARCH t USING PRIMARY KEY (position>? AND position<?)",
                "SEARCH d USING INDEX sqlite_autoindex_notes_1 (id=?)"
            ]
        );
    }
}
