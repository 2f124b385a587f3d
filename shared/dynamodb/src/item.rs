//! Converts documents, guards and search terms to items and back.

use aws_sdk_dynamodb::types::AttributeValue;
use switchyard_ambient::Timestamp;
use switchyard_database::{
    Body, Collection, Document, Error, Index, Key, Projection, Result, UniqueKey, Version, term_position,
};

use crate::tables::{
    EXPIRES_AT, TIME_TO_LIVE, document, field_attribute, fnv1a, partition_attribute, position_attribute,
    separate_field_names, system,
};
use crate::value::{Item, attribute_of, body_of, bytes, map_of, number, text, value_of};

/// Returns the item that stores a document, including its index entries.
pub(crate) fn document_item(key: &Key, version: Version, body: &Body, projection: &Projection) -> Item {
    let mut item = document_key(key);
    item.insert(document::VERSION.to_owned(), text(version.to_string()));
    item.extend(body_attributes(key, body));
    item.extend(index_attributes(key, projection));
    item
}

/// Returns the attributes for a document's content: one for each field that has its own, and one for the rest.
pub(crate) fn body_attributes(key: &Key, body: &Body) -> Item {
    let mut item = Item::new();
    let mut rest = body.clone();
    for field in separate_field_names(key.collection()) {
        if let Some(value) = rest.remove(field) {
            item.insert(field_attribute(field), attribute_of(&value));
        }
    }
    item.insert(document::BODY.to_owned(), map_of(&rest));
    item
}

/// Returns the attributes for a document's index entries and its expiry.
pub(crate) fn index_attributes(key: &Key, projection: &Projection) -> Item {
    let mut item = Item::new();
    for entry in projection.entries.iter().flatten() {
        let mut partition = entry.partition.clone();
        if is_sharded(entry.index) {
            partition.push(shard_of(key.id(), entry.index.shard_count()));
        }
        item.insert(partition_attribute(entry.index), bytes(partition));
        item.insert(position_attribute(entry.index), bytes(entry.position.clone()));
    }
    if let Some(expires_at) = projection.expires_at {
        add_expiry(&mut item, expires_at);
    }
    item
}

fn add_expiry(item: &mut Item, expires_at: Timestamp) {
    let seconds = expires_at.as_seconds() + i64::from(expires_at.as_micros() % 1_000_000 != 0);
    item.insert(EXPIRES_AT.to_owned(), number(expires_at.as_micros()));
    item.insert(TIME_TO_LIVE.to_owned(), number(seconds));
}

/// Whether the partition keys of an index end with a shard. Those of an index without partition fields always do,
/// because DynamoDB does not allow an empty key.
pub(crate) fn is_sharded(index: &Index) -> bool {
    index.partition.is_empty() || index.shard_count() > 1
}

/// Returns the shard of a document: the FNV-1a hash of its id, followed by the final mixing step of MurmurHash3.
/// Without that step, ids that differ only in their last characters would have similar hashes. The shard is
/// stored, so this function must never change.
pub(crate) fn shard_of(id: &str, shards: u8) -> u8 {
    let mut hash = fnv1a(id);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    u8::try_from(hash % u64::from(shards.max(1))).unwrap_or(0)
}

/// Returns the key of a document's item.
pub(crate) fn document_key(key: &Key) -> Item {
    Item::from([(document::ID.to_owned(), text(key.id()))])
}

/// Returns the document that an item stores, whether expired or not.
pub(crate) fn document_of(collection: &'static Collection, mut item: Item) -> Result<Document> {
    let id = id_of(&item).unwrap_or_default().to_owned();
    let damaged = |what: &str| Error::Corrupt(format!("{}/{id} has no {what}", collection.name));
    let key = Key::new(collection, id.clone()).map_err(|_| damaged("usable id"))?;
    let version = version_of(&item).ok_or_else(|| damaged("version"))?;
    let expires_at = expiry_of(&item);
    let rest = match item.remove(document::BODY) {
        Some(AttributeValue::M(fields)) => body_of(fields),
        _ => None,
    };
    let body = rest.zip(separate_fields(item)).map(|(mut body, fields)| {
        body.extend(fields);
        body
    });
    Ok(Document::from_stored(key, version, body.ok_or_else(|| damaged("readable content"))?, expires_at))
}

/// Returns the fields of a document that stand in attributes of their own, in an item or in the entry of an index;
/// `None` if one of them has a type that this crate never writes. They are not looked up by their names: the
/// document may have been stored under another declaration.
pub(crate) fn separate_fields(item: Item) -> Option<Body> {
    let fields = item.into_iter().filter_map(|(name, value)| {
        let field = name.strip_prefix(document::FIELD_PREFIX)?.to_owned();
        Some(value_of(value).map(|value| (field, value)))
    });
    fields.collect()
}

/// Returns the id of a document, from its item or from the entry of an index.
pub(crate) fn id_of(item: &Item) -> Option<&str> {
    item.get(document::ID)?.as_s().ok().map(String::as_str)
}

/// Returns the version of a document's item.
pub(crate) fn version_of(item: &Item) -> Option<Version> {
    item.get(document::VERSION)?.as_s().ok()?.parse().ok()
}

/// Returns when an item expires.
pub(crate) fn expiry_of(item: &Item) -> Option<Timestamp> {
    let micros = item.get(EXPIRES_AT)?.as_n().ok()?.parse().ok()?;
    Some(Timestamp::from_micros(micros))
}

/// Returns the id of the document that a guard or a term belongs to.
pub(crate) fn owner_of(item: &Item) -> Option<&str> {
    item.get(system::OWNER)?.as_s().ok().map(String::as_str)
}

/// Returns the key of the guard that protects a unique value. Each guard has its own partition.
///
/// A hash of the attribute's fields is part of the key: if the attribute is declared over other fields, the
/// previous values stay guarded. The key is stored, so this function must never change.
pub(crate) fn guard_key(guard: &UniqueKey) -> Item {
    let head = format!("guard\0{}\0{}\0", guard.collection().name, guard.attribute());
    let fields = fnv1a(&guard.fields().join("\0")).to_be_bytes();
    system_key([head.as_bytes(), &fields, guard.value()].concat(), vec![0])
}

/// Returns the guard that says that the document `owner` holds a value.
pub(crate) fn guard_item(guard: &UniqueKey, owner: &Key, expires_at: Option<Timestamp>) -> Item {
    let about = format!("{}.{}", guard.collection().name, guard.attribute());
    owned_item(guard_key(guard), owner, expires_at, about)
}

/// The number of partitions over which the terms that begin with the same character are spread. Many documents have
/// the same word, such as the domain of a mail provider, and a partition takes about 500 writes of a transaction a
/// second.
pub(crate) const TERM_SHARDS: u8 = 4;

/// Returns a partition of the terms that begin with the same character as `term`. A search reads one partition of
/// each shard.
pub(crate) fn term_partition(collection: &Collection, term: &str, shard: u8) -> Vec<u8> {
    let first = term.chars().next().map(String::from).unwrap_or_default();
    let head = format!("term\0{}\0{first}\0", collection.name);
    [head.as_bytes(), &[shard]].concat()
}

/// Returns the key of a document's search term.
pub(crate) fn term_key(key: &Key, term: &str) -> Item {
    let shard = shard_of(key.id(), TERM_SHARDS);
    system_key(term_partition(key.collection(), term, shard), term_position(term, key.id()))
}

/// Returns the item that stores a search term of a document.
pub(crate) fn term_item(key: &Key, term: &str, expires_at: Option<Timestamp>) -> Item {
    owned_item(term_key(key, term), key, expires_at, format!("{}: {term}", key.collection().name))
}

fn owned_item(mut item: Item, owner: &Key, expires_at: Option<Timestamp>, about: String) -> Item {
    item.insert(system::OWNER.to_owned(), text(owner.id()));
    item.insert(system::ABOUT.to_owned(), text(about));
    if let Some(expires_at) = expires_at {
        add_expiry(&mut item, expires_at);
    }
    item
}

/// Returns the key of an item in the system table.
pub(crate) fn system_key(partition: Vec<u8>, position: Vec<u8>) -> Item {
    Item::from([
        (system::PARTITION.to_owned(), bytes(partition)),
        (system::POSITION.to_owned(), bytes(position)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_live_is_never_before_the_expiry() {
        let seconds = |micros| {
            let mut item = Item::new();
            add_expiry(&mut item, Timestamp::from_micros(micros));
            item[TIME_TO_LIVE].as_n().unwrap().clone()
        };
        assert_eq!(seconds(1_000_000), "1");
        assert_eq!(seconds(1_000_001), "2");
        assert_eq!(seconds(-1_500_000), "-1");
    }

    #[test]
    fn the_shard_of_a_document_never_changes() {
        let shards: Vec<_> = ["a", "b", "c", "0190a5c2", "0190a5c3"].map(|id| shard_of(id, 4)).into();
        assert_eq!(shards, [3, 0, 2, 1, 2]);
    }

    #[test]
    fn documents_are_spread_evenly_over_shards() {
        let mut counts = [0; 4];
        for n in 0..4000 {
            counts[usize::from(shard_of(&format!("user-{n}"), 4))] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }
}
