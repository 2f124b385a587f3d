//! Commits one document without guard or term changes: a plain conditional write, at half the price of a
//! transaction.

use switchyard_database::{
    Cause, Document, Error, Operation, Prepared, Rejection, Result, Version, cause_of_document,
};

use crate::DynamoDb;
use crate::commit::Purpose;
use crate::commit::writes::document_write;
use crate::failure::Failure;
use crate::item::{document_key, document_of};
use crate::read::{get_item, get_stored_once};
use crate::value::Item;

/// Commits the only operation of a batch.
pub(crate) async fn commit(db: &DynamoDb, prepared: &Prepared) -> Result<()> {
    let mut patience = db.patience();
    // The reason of the last lost reply. After a lost reply the write may have been applied even if a later answer
    // refuses it.
    let mut lost = None;
    loop {
        let now = db.ambient.now();
        let failure = match document_write(db, prepared, now, Purpose::Commit).send(&db.client).await {
            Ok(()) => {
                patience.answered();
                return Ok(());
            }
            Err(failure) => failure,
        };
        // A write that conflicts with a transaction is decided as soon as the winner of the race can be read.
        let stored = match &failure {
            Failure::Condition(stored) => Some(stored.clone()),
            Failure::Contended => {
                let key = prepared.key();
                Some(get_item(db, db.table(key.collection()), document_key(key)).await?)
            }
            _ => None,
        };
        if let Some(stored) = stored {
            match verdict_of(db, prepared, stored, lost.as_deref())? {
                Verdict::Applied => return Ok(()),
                Verdict::Rejected(cause) => return Err(rejected(prepared, cause)),
                Verdict::Again => {}
            }
        }
        let failure = match failure {
            Failure::Condition(_) => Failure::Contended,
            Failure::Lost(reason) => {
                if !is_applied_once_at_most(&prepared.operation) {
                    return find_out(db, prepared, reason).await;
                }
                lost = Some(reason.clone());
                Failure::Lost(reason)
            }
            failure => failure,
        };
        if !patience.lasts(&failure).await {
            return match lost {
                Some(reason) => find_out(db, prepared, reason).await,
                None => Err(db.error_of(failure)),
            };
        }
    }
}

fn rejected(prepared: &Prepared, cause: Cause) -> Error {
    Error::Rejected(vec![Rejection { operation: 0, key: prepared.key().clone(), cause }])
}

/// Whether sending a write again can never apply it twice, because the version that it requires never comes back.
/// An increment requires no version, and a document that was created and then deleted by another writer would be
/// created again.
fn is_applied_once_at_most(operation: &Operation) -> bool {
    matches!(operation, Operation::Replace { .. } | Operation::Delete { .. })
}

enum Verdict {
    /// The write has already been applied; an earlier reply was lost.
    Applied,
    Rejected(Cause),
    /// The write no longer conflicts and can be sent again.
    Again,
}

/// Interprets a refused write from the item that was stored at that time.
fn verdict_of(
    db: &DynamoDb,
    prepared: &Prepared,
    stored: Option<Item>,
    lost: Option<&str>,
) -> Result<Verdict> {
    let stored = stored.map(|item| document_of(prepared.key().collection(), item)).transpose()?;
    if let Some(stored) = &stored
        && is_ours(prepared, stored.version)
    {
        return Ok(Verdict::Applied);
    }
    if let Some(reason) = lost
        && !is_untouched(&prepared.operation, stored.as_ref())
    {
        return Err(Error::OutcomeUnknown(reason.to_owned()));
    }
    let now = db.ambient.now();
    let current = stored.as_ref().filter(|document| !document.is_expired(now));
    Ok(cause_of_document(prepared, current)?.map_or(Verdict::Again, Verdict::Rejected))
}

fn is_ours(prepared: &Prepared, version: Version) -> bool {
    prepared.version != Version::NONE && version == prepared.version
}

/// Whether the document still has the version that the operation changes.
fn is_untouched(operation: &Operation, stored: Option<&Document>) -> bool {
    match operation {
        Operation::Replace { previous, .. } | Operation::Delete { previous } => {
            stored.is_some_and(|stored| stored.version == previous.version)
        }
        _ => false,
    }
}

/// Finds out whether a write whose reply was lost was applied: then the document has the version that was chosen
/// for the write. Any other version proves nothing, because another writer may have followed.
async fn find_out(db: &DynamoDb, prepared: &Prepared, reason: String) -> Result<()> {
    let mut patience = db.patience();
    let lost = Failure::Lost(reason.clone());
    loop {
        // The pauses below are also those of a read that fails.
        if let Ok(Some(stored)) = get_stored_once(db, prepared.key()).await
            && is_ours(prepared, stored.version)
        {
            return Ok(());
        }
        // The request may still arrive.
        if !patience.lasts(&lost).await {
            return Err(Error::OutcomeUnknown(reason));
        }
    }
}
