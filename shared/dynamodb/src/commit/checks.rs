//! A batch that only checks: a read. One document is read by itself, several at one moment, which costs a fraction of
//! the write capacity that a transaction of conditions takes, and stands in nobody's way.

use switchyard_database::{
    Batch, Body, Document, Error, Operation, Rejection, Result, Version, cause_of_document,
};

use crate::DynamoDb;
use crate::item::{document_key, expiry_of, version_of};
use crate::read::snapshot;
use crate::tables::{EXPIRES_AT, document};
use crate::value::Item;

/// Whether a batch changes nothing.
pub(crate) fn are_all(batch: &Batch) -> bool {
    batch.operations().iter().all(|prepared| matches!(prepared.operation, Operation::Check { .. }))
}

/// Commits a batch that changes nothing.
pub(crate) async fn commit(db: &DynamoDb, batch: &Batch) -> Result<()> {
    let attributes = format!("#{}, #{}, #{}", document::ID, document::VERSION, EXPIRES_AT);
    let keys: Vec<(String, Item)> = batch
        .operations()
        .iter()
        .map(|prepared| (db.table(prepared.key().collection()), document_key(prepared.key())))
        .collect();
    let stored = snapshot(db, keys, Some(&attributes)).await?;
    let now = db.ambient.now();
    let mut rejections = Vec::new();
    for (operation, (prepared, item)) in batch.operations().iter().zip(stored).enumerate() {
        // A check asks for no content.
        let current = item.map(|item| Document {
            key: prepared.key().clone(),
            version: version_of(&item).unwrap_or(Version::NONE),
            body: Body::new(),
            expires_at: expiry_of(&item),
        });
        let current = current.filter(|document| !document.is_expired(now));
        if let Some(cause) = cause_of_document(prepared, current.as_ref())? {
            rejections.push(Rejection { operation, key: prepared.key().clone(), cause });
        }
    }
    if rejections.is_empty() { Ok(()) } else { Err(Error::Rejected(rejections)) }
}
