//! What is stored but counts as absent: expired documents, and guards whose documents no longer hold the value. Removing
//! them changes nothing that a read could see, so it takes place before the write that they stand in the way of, by
//! itself.

use switchyard_database::{Document, Key, Result, UniqueKey, Version};

use crate::DynamoDb;
use crate::commit::remove_expired;
use crate::failure::Failure;
use crate::item::{document_key, guard_key};
use crate::value::text;
use crate::write::Write;

/// Something to be removed.
pub(crate) enum Leftover {
    /// A document that has expired.
    Expired(Document),
    /// A guard that names the document `owner`, which does not hold its value in this version, or is absent.
    Guard { guard: UniqueKey, owner: Key, document: Option<Version> },
}

/// Removes a leftover, unless it came to life meanwhile.
pub(crate) async fn remove(db: &DynamoDb, leftover: Leftover) -> Result<()> {
    match leftover {
        Leftover::Expired(document) => remove_expired(db, document).await.map(drop),
        Leftover::Guard { guard, owner, document } => remove_guard(db, &guard, &owner, document).await,
    }
}

/// The owner's document must not change at the same time: it could be about to claim the value again.
async fn remove_guard(
    db: &DynamoDb,
    guard: &UniqueKey,
    owner: &Key,
    document: Option<Version>,
) -> Result<()> {
    let check = Write::check(db.table(owner.collection()), document_key(owner));
    let check = match document {
        Some(version) => check.only_if("#version = :version").value(":version", text(version.to_string())),
        None => check.only_if("attribute_not_exists(#id)"),
    };
    let removal = Write::delete(db.system_table(), guard_key(guard))
        .only_if("#owner = :owner")
        .value(":owner", text(owner.id()));
    let items = vec![check.into_transaction_item()?, removal.into_transaction_item()?];
    let request = db.client.transact_write_items().set_transact_items(Some(items));
    match request.send().await.map_err(Failure::from) {
        // Removed; or in use again, which the write that follows will find out.
        Ok(_) | Err(Failure::Cancelled(_) | Failure::Contended | Failure::Lost(_)) => Ok(()),
        Err(failure) => Err(db.error_of(failure)),
    }
}
