//! Removes expired documents before DynamoDB does, which takes up to a few days. Scans the tables: this serves tests
//! and people in a hurry, and no program calls it regularly.

use futures::stream::{self, StreamExt as _};
use switchyard_database::{Collection, Key, Result};

use crate::DynamoDb;
use crate::commit::remove_expired;
use crate::item::{document_key, id_of};
use crate::migrate::stored_collections;
use crate::read::get_stored;
use crate::tables::{EXPIRES_AT, document};
use crate::value::{Item, number};
use crate::write::Write;

/// How many documents are removed concurrently.
const CONCURRENCY: usize = 8;

/// Implements [`Database::sweep_expired`](switchyard_database::Database::sweep_expired).
pub(crate) async fn sweep_expired(db: &DynamoDb, at_most: u32) -> Result<u64> {
    let mut left = u64::from(at_most);
    for collection in stored_collections(db).await?.into_iter().filter(|collection| collection.expiring) {
        left -= sweep(db, collection, left).await?;
    }
    Ok(u64::from(at_most) - left)
}

async fn sweep(db: &DynamoDb, collection: &'static Collection, at_most: u64) -> Result<u64> {
    let now = number(db.ambient.now().as_micros());
    let mut removed = 0;
    let mut start: Option<Item> = None;
    while removed < at_most {
        let request = db.client.scan().table_name(db.table(collection)).consistent_read(true);
        let request = request.filter_expression("#expires_at <= :now").projection_expression("#id");
        let request = request.expression_attribute_names("#expires_at", EXPIRES_AT);
        let request = request.expression_attribute_names("#id", document::ID);
        let request = request.expression_attribute_values(":now", now.clone());
        let request = request.set_exclusive_start_key(start);
        let answer = db.read(|| request.clone().send()).await?;
        let items = answer.items.unwrap_or_default();
        let ids = items.iter().filter_map(id_of);
        let wanted = usize::try_from(at_most - removed).unwrap_or(usize::MAX);
        let keys = ids.take(wanted).map(|id| Key::new(collection, id)).collect::<Result<Vec<_>>>()?;
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

/// Removes one document, unless it is already gone or was written again since it was read.
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
