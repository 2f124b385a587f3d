//! Commits: a read where nothing is written, one plain conditional write where one document changes and nothing beside
//! it, else a transaction.

mod cancellation;
mod checks;
mod single;
pub(crate) mod stale_guard;
mod transaction;
mod writes;

use switchyard_database::{Batch, Document, Operation, Result};

use crate::DynamoDb;

/// Answers [`Database::commit`](switchyard_database::Database::commit).
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

/// Removes an expired document with all that stands beside it, unless it was written again meanwhile.
pub(crate) async fn remove_expired(db: &DynamoDb, document: Document) -> Result<bool> {
    let batch = Batch::new(vec![Operation::Delete { previous: document }], &db.ambient)?;
    match transaction::commit(db, &batch, Purpose::Sweep).await {
        Ok(()) => Ok(true),
        Err(switchyard_database::Error::Rejected(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// On whose behalf a batch is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A caller's: an expired document is absent.
    Commit,
    /// The removal of a document that has expired.
    Sweep,
}
