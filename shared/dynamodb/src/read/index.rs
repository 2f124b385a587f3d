//! Reads ranges of an index, and the documents of its entries where the index does not copy them.

use switchyard_database::limits::MAX_PARTITION_KEY_BYTES;
use switchyard_database::paging::{Entry, Range};
use switchyard_database::{Copies, Error, Index, IndexEntry, Key, Result};

use crate::DynamoDb;
use crate::item::{document_of, id_of, is_sharded, separate_fields};
use crate::read::ordered::{Ordered, Partitions, Place};
use crate::read::with_documents;
use crate::tables::{index_name, partition_attribute, position_attribute};

/// Returns the first `at_most` live entries of a range of an index.
pub(crate) async fn read(
    db: &DynamoDb,
    range: &Range,
    index: &'static Index,
    partition: &[u8],
    at_most: usize,
) -> Result<Vec<Entry>> {
    // No document has a longer partition key, and DynamoDB rejects a query with one.
    if partition.len() > MAX_PARTITION_KEY_BYTES {
        return Ok(Vec::new());
    }
    let keys: Vec<Vec<u8>> = if is_sharded(index) {
        (0..index.shard_count()).map(|shard| [partition, &[shard]].concat()).collect()
    } else {
        vec![partition.to_vec()]
    };
    let partitions = Partitions {
        table: db.table(range.collection),
        index: Some(index_name(index)),
        partition: partition_attribute(index),
        position: position_attribute(index),
        keys,
    };
    let mut ordered = Ordered::new(db, range, partitions);
    let mut entries = Vec::with_capacity(at_most);
    while entries.len() < at_most {
        let places = ordered.take(at_most - entries.len()).await?;
        if places.is_empty() {
            break;
        }
        match index.copies {
            Copies::Documents => entries.extend(copied(db, range, places)?),
            Copies::Nothing | Copies::Fields(_) => {
                entries.extend(fetched(db, range, index, partition, places).await?);
            }
        }
    }
    Ok(entries)
}

/// Returns the entries whose documents, as the index has copied them, are live.
fn copied(db: &DynamoDb, range: &Range, places: Vec<Place>) -> Result<Vec<Entry>> {
    let now = db.ambient.now();
    let mut entries = Vec::with_capacity(places.len());
    for Place { position, item } in places {
        let document = document_of(range.collection, item)?;
        if !document.is_expired(now) {
            entries.push(Entry { position, document: Some(document) });
        }
    }
    Ok(entries)
}

/// Returns the entries that the range's filters refuse by the copied fields, and those whose documents are live and
/// still stand at the same place.
///
/// The index and the documents may lag behind each other. A document that has moved since is left out, because it
/// would appear out of order, or in a partition to which it does not belong.
async fn fetched(
    db: &DynamoDb,
    range: &Range,
    index: &'static Index,
    partition: &[u8],
    places: Vec<Place>,
) -> Result<Vec<Entry>> {
    let mut wanted = Vec::with_capacity(places.len());
    for Place { position, item } in places {
        let damaged = || Error::Corrupt(format!("an entry of `{}` names no document", index.name));
        let key = Key::new(range.collection, id_of(&item).ok_or_else(damaged)?)?;
        let is_refused = separate_fields(item).is_some_and(|copied| range.refuses(&copied));
        wanted.push((position, (!is_refused).then_some(key)));
    }
    let mut entries = with_documents(db, wanted).await?;
    entries.retain(|Entry { position, document }| {
        let place = document.as_ref().map(|document| IndexEntry::of(document, index));
        place.is_none_or(|place| {
            place.is_some_and(|place| place.partition == partition && place.position == *position)
        })
    });
    Ok(entries)
}
