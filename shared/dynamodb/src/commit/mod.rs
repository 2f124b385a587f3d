//! Commits batches: with a read if the batch only checks, with one plain conditional write if it changes only one
//! document without guards and terms, else with a transaction.

mod cancellation;
mod checks;
mod contention;
mod single;
pub(crate) mod stale_guard;
mod transaction;
mod writes;

use switchyard_database::{Batch, Document, Result};

use crate::DynamoDb;

/// Implements [`Database::commit`](switchyard_database::Database::commit).
pub(crate) async fn commit(db: &DynamoDb, batch: &Batch) -> Result<()> {
    if batch.only_checks() {
        return checks::commit(db, batch).await;
    }
    let is_plain = batch.guard_changes().is_empty() && batch.term_changes().is_empty();
    match batch.operations() {
        [only] if is_plain => single::commit(db, only).await,
        _ => transaction::commit(db, batch, Purpose::Commit).await,
    }
}

/// Removes an expired document with its guards and search terms. Returns `false` if the document was written again
/// meanwhile.
pub(crate) async fn remove_expired(db: &DynamoDb, document: Document) -> Result<bool> {
    let batch = Batch::of_expired(document)?;
    match transaction::commit(db, &batch, Purpose::Sweep).await {
        Ok(()) => Ok(true),
        Err(switchyard_database::Error::Rejected(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The purpose of applying a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A commit by a caller, for whom an expired document is absent.
    Commit,
    /// The removal of a document that has expired.
    Sweep,
}
