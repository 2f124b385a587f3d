//! Finds and removes stale guards: guards whose documents do not hold the value and will never release it. They
//! remain if a migration was abandoned halfway or if the attribute was not declared for a while. A stale guard
//! must not block a value forever.

use switchyard_database::{Key, Result, UniqueKey, Version};

use crate::DynamoDb;
use crate::failure::Failure;
use crate::item::{document_key, guard_key};
use crate::read::get_stored;
use crate::value::text;
use crate::write::Write;

/// A guard that names the document `owner` although that document does not hold the value.
pub(crate) struct StaleGuard {
    pub(crate) guard: UniqueKey,
    pub(crate) owner: Key,
    /// The version of the document that does not hold the value, or `None` if the document is absent.
    pub(crate) document: Option<Version>,
}

/// Checks whether the document that a guard names holds the value. Returns `None` if it does.
pub(crate) async fn find(db: &DynamoDb, guard: &UniqueKey, owner: &str) -> Result<Option<StaleGuard>> {
    let owner = Key::new(guard.collection(), owner)?;
    let stored = get_stored(db, &owner).await?;
    let now = db.ambient.now();
    let holds =
        stored.as_ref().is_some_and(|document| !document.is_expired(now) && guard.is_held_by(document));
    let stale = StaleGuard { guard: guard.clone(), owner, document: stored.map(|document| document.version) };
    Ok(Some(stale).filter(|_| !holds))
}

/// Removes a stale guard, unless it now belongs to another document or is gone. Returns `false` if its document
/// was written meanwhile: it may have claimed the value again, and the guard has to be examined again.
pub(crate) async fn remove(db: &DynamoDb, stale: StaleGuard) -> Result<bool> {
    let StaleGuard { guard, owner, document } = stale;
    let check = Write::check(db.table(owner.collection()), document_key(&owner));
    let check = match document {
        Some(version) => check.only_if("#version = :version").value(":version", text(version.to_string())),
        None => check.only_if("attribute_not_exists(#id)"),
    };
    let removal = Write::delete(db.system_table(), guard_key(&guard))
        .only_if("#owner = :owner")
        .value(":owner", text(owner.id()));
    let items = vec![check.into_transaction_item()?, removal.into_transaction_item()?];
    let request = db.client.transact_write_items().set_transact_items(Some(items));
    let mut patience = db.patience();
    loop {
        let failure = match request.clone().send().await.map_err(Failure::from) {
            Ok(_) => return Ok(true),
            Err(Failure::Cancelled(reasons)) => {
                let failed =
                    reasons.iter().position(|it| it.code.as_deref() == Some("ConditionalCheckFailed"));
                match failed {
                    Some(place) => return Ok(place > 0),
                    None => Failure::of_reasons(&reasons),
                }
            }
            Err(failure) => failure,
        };
        if !patience.lasts(&failure).await {
            return Err(db.error_of(failure));
        }
    }
}
