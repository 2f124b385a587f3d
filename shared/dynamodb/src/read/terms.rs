//! Reads ranges of search terms from the system table, and then the documents of those terms.

use switchyard_database::paging::{Entry, Range};
use switchyard_database::{Error, Key, Result, is_expired};

use crate::DynamoDb;
use crate::item::{TERM_SHARDS, expiry_of, owner_of, term_partition};
use crate::read::ordered::{Ordered, Partitions, Place};
use crate::read::with_documents;
use crate::tables::system;

/// Returns the first `at_most` entries of a range of terms whose documents are live.
pub(crate) async fn read(db: &DynamoDb, range: &Range, prefix: &str, at_most: usize) -> Result<Vec<Entry>> {
    let partitions = Partitions {
        table: db.system_table(),
        index: None,
        partition: system::PARTITION.to_owned(),
        position: system::POSITION.to_owned(),
        keys: (0..TERM_SHARDS).map(|shard| term_partition(range.collection, prefix, shard)).collect(),
    };
    let mut ordered = Ordered::new(db, range, partitions);
    let now = db.ambient.now();
    let mut entries = Vec::new();
    while entries.len() < at_most {
        let places = ordered.take(at_most - entries.len()).await?;
        if places.is_empty() {
            break;
        }
        let mut wanted = Vec::with_capacity(places.len());
        for Place { position, item } in places {
            if is_expired(expiry_of(&item), now) {
                continue;
            }
            let owner = owner_of(&item)
                .ok_or_else(|| Error::Corrupt("a search term does not name its document".to_owned()))?;
            wanted.push((position, Some(Key::new(range.collection, owner)?)));
        }
        entries.extend(with_documents(db, wanted).await?);
    }
    Ok(entries)
}
