//! The advisory locks of a batch.

use std::collections::BTreeMap;

use switchyard_database::{Batch, Key, Operation, UniqueKey};

use crate::hash::fnv1a;

/// Returns the numbers of the locks in ascending order, which is the global lock order. The value is `true` for an
/// exclusive lock and `false` for a shared one.
///
/// Two keys may share a number. They then sometimes wait for each other, which has no other effect.
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

/// Returns the number of the lock of a document.
pub(crate) fn of_key(key: &Key) -> i64 {
    fnv1a([&b"key"[..], key.collection().name.as_bytes(), key.id().as_bytes()]).cast_signed()
}

fn of_unique(unique: &UniqueKey) -> i64 {
    let collection = unique.collection().name.as_bytes();
    fnv1a([&b"unique"[..], collection, unique.attribute().as_bytes(), unique.value()]).cast_signed()
}
