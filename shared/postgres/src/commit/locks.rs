//! The advisory locks that a batch takes.

use std::collections::BTreeMap;

use switchyard_database::{Batch, Key, Operation, UniqueKey};

use crate::hash::fnv1a;

/// The numbers of the locks, ordered: the one global order. `true` for those that are held alone.
///
/// Two keys may share a number: that makes them wait for each other now and then, and nothing else.
pub(crate) fn of_batch(batch: &Batch) -> BTreeMap<i64, bool> {
    let mut locks = BTreeMap::new();
    for prepared in batch.operations() {
        let alone = !matches!(prepared.operation, Operation::Check { .. });
        *locks.entry(of_key(prepared.key())).or_default() |= alone;
    }
    for change in batch.guard_changes().iter().filter(|change| change.claimed_by.is_some()) {
        locks.insert(of_unique(&change.guard), true);
    }
    locks
}

fn of_key(key: &Key) -> i64 {
    fnv1a([&b"key"[..], key.collection().name.as_bytes(), key.id().as_bytes()]).cast_signed()
}

fn of_unique(unique: &UniqueKey) -> i64 {
    let collection = unique.collection().name.as_bytes();
    fnv1a([&b"unique"[..], collection, unique.attribute().as_bytes(), unique.value()]).cast_signed()
}
