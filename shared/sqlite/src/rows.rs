//! Reads documents.

use rusqlite::{Connection, Row};
use switchyard_ambient::Timestamp;
use switchyard_database::{Body, Document, Error, Key, Result, UniqueKey, Version, is_expired};

use crate::fault::Fault;
use crate::layout;

/// Returns the document of `key`, if it is live.
pub(crate) fn get(connection: &Connection, key: &Key, now: Timestamp) -> Result<Option<Document>, Fault> {
    let table = layout::table(key.collection().name);
    let sql = format!("SELECT version, doc, expires_at FROM {table} WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([key.id()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    if is_expired(expiry(row, 2)?, now) {
        return Ok(None);
    }
    document(key.clone(), row, 0).map(Some)
}

/// Returns the documents of `keys`, in that order. Reads them in one transaction, which is cheaper than one for
/// each.
pub(crate) fn get_many(
    connection: &Connection,
    keys: &[Key],
    now: Timestamp,
) -> Result<Vec<Option<Document>>, Fault> {
    let transaction = connection.unchecked_transaction()?;
    let documents = keys.iter().map(|key| get(&transaction, key, now)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(documents)
}

/// Returns the live document that holds a unique value.
pub(crate) fn lookup(
    connection: &Connection,
    unique: &UniqueKey,
    now: Timestamp,
) -> Result<Option<Document>, Fault> {
    let (collection, column) = (unique.collection(), layout::unique_column(unique.attribute()));
    let sql = format!(
        "SELECT id, version, doc, expires_at FROM {} INDEXED BY {} \
         WHERE {column} = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
        layout::table(collection.name),
        layout::tree(collection.name, &column),
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((unique.value(), now.as_micros()))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let key = Key::new(collection, row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
    document(key, row, 1).map(Some)
}

/// Returns the document in the columns `version, doc, expires_at`, of which the first is column `first`.
pub(crate) fn document(key: Key, row: &Row<'_>, first: usize) -> Result<Document, Fault> {
    let version = version(row, first)?;
    let body = body(&key, row, first + 1)?;
    let expires_at = expiry(row, first + 2)?;
    Ok(Document::from_stored(key, version, body, expires_at))
}

pub(crate) fn version(row: &Row<'_>, column: usize) -> rusqlite::Result<Version> {
    row.get(column).map(Version::from_bytes)
}

pub(crate) fn expiry(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_micros))
}

pub(crate) fn body(key: &Key, row: &Row<'_>, column: usize) -> Result<Body, Fault> {
    let text = row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?;
    serde_json::from_str(text)
        .map_err(|fault| Error::Corrupt(format!("the document {key} is not a JSON object: {fault}")).into())
}
