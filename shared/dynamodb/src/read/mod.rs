//! Reads documents. Reads by key and by unique value are strongly consistent; reads by index and by search term
//! are as consistent as the indexes.

mod index;
mod lookup;
mod ordered;
mod ranges;
mod snapshot;
mod terms;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures::future::try_join_all;
use switchyard_database::paging::Entry;
use switchyard_database::{Consistency, Document, Error, Key, Result, paging};

pub(crate) use lookup::lookup;
pub(crate) use snapshot::snapshot;

use crate::DynamoDb;
use crate::failure::Failure;
use crate::item::{document_key, document_of, system_key};
use crate::value::Item;

/// DynamoDB's limit for one `BatchGetItem`.
const KEYS_IN_A_REQUEST: usize = 100;

/// Implements [`Database::get`](switchyard_database::Database::get).
pub(crate) async fn get(db: &DynamoDb, key: &Key) -> Result<Option<Document>> {
    let now = db.ambient.now();
    Ok(get_stored(db, key).await?.filter(|document| !document.is_expired(now)))
}

/// Returns the stored document, whether expired or not.
pub(crate) async fn get_stored(db: &DynamoDb, key: &Key) -> Result<Option<Document>> {
    let item = get_item(db, db.table(key.collection()), document_key(key)).await?;
    item.map(|item| document_of(key.collection(), item)).transpose()
}

/// Like [`get_stored`], but does not read again after a failure.
pub(crate) async fn get_stored_once(db: &DynamoDb, key: &Key) -> Result<Option<Document>, Failure> {
    let (table, item) = (db.table(key.collection()), document_key(key));
    let request = db.client.get_item().table_name(table).set_key(Some(item)).consistent_read(true);
    let item = request.send().await?.item;
    item.map(|item| document_of(key.collection(), item)).transpose().map_err(Failure::Final)
}

pub(crate) async fn get_item(db: &DynamoDb, table: String, key: Item) -> Result<Option<Item>> {
    let request = db.client.get_item().table_name(table).set_key(Some(key)).consistent_read(true);
    Ok(db.read(|| request.clone().send()).await?.item)
}

/// Implements [`Database::get_many`](switchyard_database::Database::get_many).
pub(crate) async fn get_many(
    db: &DynamoDb,
    keys: &[Key],
    consistency: Consistency,
) -> Result<Vec<Option<Document>>> {
    paging::check_keys(keys)?;
    let documents = get_live(db, keys, consistency).await?;
    Ok(keys.iter().map(|key| documents.get(key).cloned()).collect())
}

/// Returns the live documents among `keys`, which may be any number and may repeat.
pub(crate) async fn get_live(
    db: &DynamoDb,
    keys: &[Key],
    consistency: Consistency,
) -> Result<HashMap<Key, Document>> {
    let mut distinct: Vec<&Key> = keys.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let requests = distinct.chunks(KEYS_IN_A_REQUEST).map(|keys| get_chunk(db, keys, consistency));
    let now = db.ambient.now();
    let documents = try_join_all(requests).await?.into_iter().flatten();
    Ok(documents
        .filter(|document| !document.is_expired(now))
        .map(|document| (document.key.clone(), document))
        .collect())
}

/// Reads the documents of entries at these positions, which may lag behind. Leaves out those whose documents are not live.
/// An entry without a key gets no document.
async fn with_documents(db: &DynamoDb, places: Vec<(Vec<u8>, Option<Key>)>) -> Result<Vec<Entry>> {
    let keys: Vec<Key> = places.iter().filter_map(|(_, key)| key.clone()).collect();
    let documents = get_live(db, &keys, Consistency::Eventual).await?;
    let entries = places.into_iter().filter_map(|(position, key)| {
        let document = match key {
            // A document may have several entries.
            Some(key) => Some(documents.get(&key)?.clone()),
            None => None,
        };
        Some(Entry { position, document })
    });
    Ok(entries.collect())
}

async fn get_chunk(db: &DynamoDb, keys: &[&Key], consistency: Consistency) -> Result<Vec<Document>> {
    let collections: HashMap<_, _> =
        keys.iter().map(|key| (db.table(key.collection()), key.collection())).collect();
    let mut wanted = request_of(db, keys, consistency)?;
    let mut documents = Vec::with_capacity(keys.len());
    let mut patience = db.patience();
    while !wanted.is_empty() {
        let request = db.client.batch_get_item().set_request_items(Some(wanted.clone()));
        let answer = db.read_with(&mut patience, || request.clone().send()).await?;
        let before = documents.len();
        for (table, items) in answer.responses.unwrap_or_default() {
            let collection = collections.get(&table).ok_or_else(|| {
                Error::Internal(format!("DynamoDB returned items of a table that was not requested: {table}"))
            })?;
            for item in items {
                documents.push(document_of(collection, item)?);
            }
        }
        wanted = answer.unprocessed_keys.unwrap_or_default();
        // If some documents came, the answer was limited to 16 MB: ask for the rest at once. If none came, the
        // table is throttled.
        if documents.len() > before {
            patience = db.patience();
        } else if !wanted.is_empty() && !patience.lasts(&Failure::Throttled).await {
            return Err(Error::Throttled { after: None });
        }
    }
    Ok(documents)
}

fn request_of(
    db: &DynamoDb,
    keys: &[&Key],
    consistency: Consistency,
) -> Result<HashMap<String, KeysAndAttributes>> {
    let mut by_table: HashMap<String, Vec<Item>> = HashMap::new();
    for key in keys {
        by_table.entry(db.table(key.collection())).or_default().push(document_key(key));
    }
    by_table
        .into_iter()
        .map(|(table, keys)| {
            let keys = KeysAndAttributes::builder().set_keys(Some(keys));
            let keys = keys.consistent_read(consistency == Consistency::Linearizable).build();
            keys.map(|keys| (table, keys)).map_err(|fault| Error::Internal(fault.to_string()))
        })
        .collect()
}

/// Implements [`Database::ping`](switchyard_database::Database::ping) by reading an item that never exists. The
/// answer that the table is missing also shows that DynamoDB can be reached.
pub(crate) async fn ping(db: &DynamoDb) -> Result<()> {
    let key = system_key(b"ping".to_vec(), vec![0]);
    let request = db.client.get_item().table_name(db.system_table()).set_key(Some(key));
    match request.send().await.map_err(Failure::from) {
        Ok(_) | Err(Failure::Missing(_)) => Ok(()),
        Err(failure) => Err(db.error_of(failure)),
    }
}
