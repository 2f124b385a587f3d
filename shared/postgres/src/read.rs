//! Reads documents by key, by unique attribute, by index, by search term, and whole collections.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use switchyard_ambient::Timestamp;
use switchyard_database::paging::{Entry, Range, Ranges, Source, check_keys};
use switchyard_database::{Collection, Document, Error, Key, Result, UniqueKey, Version, encoding};
use tokio_postgres::Row;

use crate::Postgres;
use crate::attempts::Attempts;
use crate::fault::{Fault, Outcome, corrupt};
use crate::session::Params;
use crate::sql::{Sql, Step, call};
use crate::values::{StoredBody, StoredVersion};

impl Postgres {
    /// Returns the rows of a statement that may run twice. `table` is the table that it reads, if it is one.
    pub(crate) async fn rows(
        &self,
        table: Option<&'static str>,
        sql: &Sql,
        params: Params<'_>,
    ) -> Result<Vec<Row>> {
        self.repeated(|| async { Ok(self.pool.session(table).await?.query(sql, params).await?) }).await
    }

    /// Returns the row of a statement that finds at most one.
    async fn row(&self, table: &'static str, sql: &Sql, params: Params<'_>) -> Result<Option<Row>> {
        let rows = self.repeated(|| self.pool.read_row(table, sql, params)).await?;
        Ok(rows.into_iter().next())
    }

    /// Returns the rows of several statements that are sent together. `table` is the table that the first one
    /// reads.
    async fn replies<'a>(
        &self,
        table: Option<&'static str>,
        steps: impl Fn() -> Vec<Step<'a>> + Send + Sync,
    ) -> Result<Vec<Vec<Row>>> {
        self.repeated(|| async { self.pool.session(table).await?.pipeline(steps()).await }).await
    }

    /// Reads, and reads again after a connection failure.
    async fn repeated<T, F: Future<Output = Outcome<T>>>(&self, read: impl Fn() -> F) -> Result<T> {
        let mut attempts = Attempts::new(&self.budget, &self.ambient);
        loop {
            let fault = match read().await {
                Ok(found) => {
                    attempts.answered();
                    return Ok(found);
                }
                // Reads wait for nothing but the lock of a whole table.
                Err(Fault::LockTimeout(why)) => return Err(Error::Unavailable(why)),
                Err(fault) => fault,
            };
            if !attempts.pause_after(&fault).await {
                return Err(fault.into_error());
            }
        }
    }

    pub(crate) async fn read_one(&self, key: &Key) -> Result<Option<Document>> {
        let table = self.tables.of(key.collection());
        let row = self.row(key.collection().name, &table.reads.get, &[&key.id()]).await?;
        let document = row.map(|row| document_of(key.clone(), &row, 0)).transpose()?;
        Ok(self.live(document))
    }

    pub(crate) async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Document>>> {
        check_keys(keys)?;
        let mut by_collection: BTreeMap<&str, (&'static Collection, Vec<&str>)> = BTreeMap::new();
        for key in keys {
            let collection = key.collection();
            by_collection.entry(collection.name).or_insert((collection, Vec::new())).1.push(key.id());
        }
        let parts: Vec<_> =
            by_collection.into_values().map(|(collection, ids)| (self.tables.of(collection), ids)).collect();
        let steps = || {
            let calls =
                parts.iter().map(|(table, ids)| call(&table.reads.get_many, vec![Box::new(&ids[..])]));
            calls.collect()
        };
        let first = parts.first().map(|(table, _)| table.collection.name);
        let rows = self.replies(first, steps).await?;
        let mut found = HashMap::new();
        for ((table, _), rows) in parts.iter().zip(&rows) {
            for row in rows {
                let document = stored_document(table.collection, row, 0)?;
                found.insert(document.key.clone(), document);
            }
        }
        Ok(keys.iter().map(|key| self.live(found.get(key).cloned())).collect())
    }

    pub(crate) async fn read_owner(&self, unique: &UniqueKey) -> Result<Option<Document>> {
        let collection = unique.collection();
        let table = self.tables.of(collection);
        let place = collection.uniques.iter().position(|declared| declared.name == unique.attribute());
        let sql = place
            .and_then(|place| table.reads.lookup.get(place))
            .ok_or_else(|| Error::Internal("a unique key names a declared attribute".to_owned()))?;
        let row = self.row(collection.name, sql, &[&unique.value()]).await?;
        let document = row.map(|row| stored_document(collection, &row, 0)).transpose()?;
        // A program that does not declare the attribute does not update its column.
        Ok(self.live(document).filter(|document| unique.is_held_by(document)))
    }

    fn live(&self, document: Option<Document>) -> Option<Document> {
        document.filter(|document| document.expires_at.is_none() || !document.is_expired(self.ambient.now()))
    }
}

#[async_trait]
impl Ranges for Postgres {
    async fn read_range(&self, range: &Range, at_most: usize) -> Result<Vec<Entry>> {
        let table = self.tables.of(range.collection);
        let direction = usize::from(range.descending);
        let (sql, prefix, above_all) = match &range.source {
            Source::Index { index, partition } => {
                let place = range.collection.indexes.iter().position(|declared| declared.name == index.name);
                let sql = place
                    .and_then(|place| table.reads.range.get(place))
                    .ok_or_else(|| Error::Internal("a checked query names a declared index".to_owned()))?;
                // Only integers contain FF bytes, not texts, so no entry begins with more FF bytes than its
                // integers have in all.
                let above_all = vec![0xff; 8 * (index.partition.len() + index.sort.len()) + 1];
                (sql, &partition[..], above_all)
            }
            Source::Terms { .. } => {
                let sql = table
                    .reads
                    .terms
                    .as_ref()
                    .ok_or_else(|| Error::Internal("a checked search has declared fields".to_owned()))?;
                (sql, &[][..], vec![0xff]) // no text begins with this byte
            }
        };
        let from = [prefix, &range.from].concat();
        let to = match &range.to {
            Some(to) => [prefix, to].concat(),
            None => encoding::successor_of_prefix(prefix).unwrap_or(above_all),
        };
        let now = self.ambient.now().as_micros();
        let limit = i64::try_from(at_most).unwrap_or(i64::MAX);
        let params: Params<'_> = &[&from, &to, &now, &limit];
        let rows = self.rows(Some(range.collection.name), &sql[direction], params).await?;
        rows.iter()
            .map(|row| {
                let key: &[u8] = column(row, 0, &range.collection.name)?;
                let document = stored_document(range.collection, row, 1)?;
                Ok(Entry { position: key[prefix.len()..].to_vec(), document: Some(document) })
            })
            .collect()
    }

    async fn read_collection(
        &self,
        collection: &'static Collection,
        after: Option<&str>,
        at_most: usize,
    ) -> Result<Vec<Document>> {
        let table = self.tables.of(collection);
        let after = after.unwrap_or_default(); // no id is empty
        let now = self.ambient.now().as_micros();
        let limit = i64::try_from(at_most).unwrap_or(i64::MAX);
        let rows = self.rows(Some(collection.name), &table.reads.scan, &[&after, &now, &limit]).await?;
        rows.iter().map(|row| stored_document(collection, row, 0)).collect()
    }
}

/// Returns the document in the columns `id, version, doc, expires_at`, of which the id is column `first`.
pub(crate) fn stored_document(collection: &'static Collection, row: &Row, first: usize) -> Result<Document> {
    let id: &str = column(row, first, &collection.name)?;
    let key = Key::new(collection, id).map_err(|fault| corrupt(&collection.name, &fault))?;
    document_of(key, row, first + 1)
}

/// Returns the document in the columns `version, doc, expires_at`, of which the version is column `first`.
pub(crate) fn document_of(key: Key, row: &Row, first: usize) -> Result<Document> {
    let StoredVersion(version) = column(row, first, &key)?;
    let body: Option<StoredBody> = column(row, first + 1, &key)?;
    let expires_at: Option<i64> = column(row, first + 2, &key)?;
    let body = body.map(|StoredBody(body)| body).unwrap_or_default();
    Ok(Document::from_stored(key, version, body, expires_at.map(Timestamp::from_micros)))
}

pub(crate) fn column<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    column: usize,
    of: &dyn std::fmt::Display,
) -> Result<T> {
    row.try_get(column).map_err(|fault| corrupt(of, &crate::fault::sentence_of(&fault)))
}

/// Returns the version in column `place`, for callers that need nothing else of a document.
pub(crate) fn version_of(row: &Row, place: usize, of: &dyn std::fmt::Display) -> Result<Version> {
    let StoredVersion(version) = column(row, place, of)?;
    Ok(version)
}
