//! Removes expired documents before DynamoDB does, which takes up to a few days.

use futures::stream::{self, StreamExt as _};
use switchyard_database::{Collection, Key, Result};

use crate::DynamoDb;
use crate::commit::remove_expired;
use crate::item::document_key;
use crate::migrate::stored_collections;
use crate::read::get_stored;
use crate::tables::{EXPIRES_AT, EXPIRY_INDEX, EXPIRY_SHARDS, document};
use crate::value::{Item, number};
use crate::write::Write;

/// How many documents are removed concurrently.
const CONCURRENCY: usize = 8;

/// Implements [`Database::sweep_expired`](switchyard_database::Database::sweep_expired).
pub(crate) async fn sweep_expired(db: &DynamoDb, at_most: u32) -> Result<u64> {
    let mut left = u64::from(at_most);
    for collection in stored_collections(db).await?.into_iter().filter(|collection| collection.expiring) {
        for shard in 0..EXPIRY_SHARDS {
            left -= sweep_shard(db, collection, shard, left).await?;
        }
    }
    Ok(u64::from(at_most) - left)
}

async fn sweep_shard(db: &DynamoDb, collection: &'static Collection, shard: u8, at_most: u64) -> Result<u64> {
    let now = db.ambient.now();
    let mut removed = 0;
    let mut start: Option<Item> = None;
    while removed < at_most {
        let limit = i32::try_from((at_most - removed).min(100)).unwrap_or(100);
        let request = db.client.query().table_name(db.table(collection)).index_name(EXPIRY_INDEX);
        let request = request.key_condition_expression("#shard = :shard AND #expires_at <= :now");
        let request = request.expression_attribute_names("#shard", document::EXPIRY_SHARD);
        let request = request.expression_attribute_names("#expires_at", EXPIRES_AT);
        let request = request.expression_attribute_values(":shard", number(shard));
        let request = request.expression_attribute_values(":now", number(now.as_micros()));
        let request = request.limit(limit).set_exclusive_start_key(start);
        let answer = db.read(|| request.clone().send()).await?;
        let entries = answer.items.unwrap_or_default();
        let ids = entries.iter().filter_map(|entry| entry.get(document::ID)?.as_s().ok());
        let keys = ids.map(|id| Key::new(collection, id)).collect::<Result<Vec<_>>>()?;
        let mut removals = stream::iter(keys).map(|key| remove(db, key)).buffer_unordered(CONCURRENCY);
        while let Some(outcome) = removals.next().await {
            removed += u64::from(outcome?);
        }
        start = answer.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    Ok(removed)
}

/// Removes one document, unless it is already gone or was written again, which the index may not show yet.
async fn remove(db: &DynamoDb, key: Key) -> Result<bool> {
    let collection = key.collection();
    if !collection.uniques.is_empty() || !collection.search.is_empty() {
        let stored = get_stored(db, &key).await?;
        return match stored.filter(|document| document.is_expired(db.ambient.now())) {
            Some(document) => remove_expired(db, document).await,
            None => Ok(false),
        };
    }
    let removal = Write::delete(db.table(collection), document_key(&key))
        .only_if("#expires_at <= :now")
        .value(":now", number(db.ambient.now().as_micros()));
    db.write(removal).await
}
