//! Commits batches that only check, by reading. One document is read with a plain read, several documents are read
//! as of one moment. This costs a fraction of the write capacity that a transaction of condition checks needs, and
//! does not conflict with other writers.

use switchyard_database::{Batch, Body, Document, Result, State, Version, evaluate};

use crate::DynamoDb;
use crate::item::{document_key, expiry_of, version_of};
use crate::read::snapshot;
use crate::tables::{EXPIRES_AT, document};
use crate::value::Item;

/// Commits a batch that changes nothing.
pub(crate) async fn commit(db: &DynamoDb, batch: &Batch) -> Result<()> {
    let attributes = format!("#{}, #{}, #{}", document::ID, document::VERSION, EXPIRES_AT);
    let keys: Vec<(String, Item)> = batch
        .operations()
        .iter()
        .map(|prepared| (db.table(prepared.key().collection()), document_key(prepared.key())))
        .collect();
    let stored = snapshot(db, keys, Some(&attributes)).await?;
    let found = batch.operations().iter().zip(stored).filter_map(|(prepared, item)| {
        let (key, item) = (prepared.key().clone(), item?);
        let version = version_of(&item).unwrap_or(Version::NONE);
        // Checks do not need the content.
        let document =
            Document { key: key.clone(), version, body: Body::new(), expires_at: expiry_of(&item) };
        Some((key, document))
    });
    let state = State { documents: found.collect(), ..State::default() };
    evaluate(batch, &state, db.ambient.now())
}
