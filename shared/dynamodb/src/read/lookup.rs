//! Looks up documents by unique values. The guard names the document that holds a value; the document shows
//! whether it still does.

use switchyard_database::{Document, Error, Key, Result, UniqueKey, is_expired};

use crate::DynamoDb;
use crate::item::{document_key, document_of, expiry_of, guard_key, owner_of};
use crate::read::snapshot::snapshot;
use crate::read::{get, get_item};
use crate::value::Item;

/// How often a lookup follows a value that moves to another document during the lookup.
const MOVES: u32 = 20;

/// Implements [`Database::lookup`](switchyard_database::Database::lookup).
pub(crate) async fn lookup(db: &DynamoDb, unique: &UniqueKey) -> Result<Option<Document>> {
    let guard = get_item(db, db.system_table(), guard_key(unique)).await?;
    let Some(mut owner) = owner(db, unique, guard.as_ref())? else {
        // As many requests as for a value that is held, so that the response time does not reveal whether it is.
        get_item(db, db.system_table(), guard_key(unique)).await?;
        return Ok(None);
    };
    if let Some(document) = get(db, &owner).await?
        && unique.is_held_by(&document)
    {
        return Ok(Some(document));
    }
    // The value is moving to another document, or the guard is stale. Reading both items as of one moment shows
    // which.
    for _ in 0..MOVES {
        let keys =
            [(db.system_table(), guard_key(unique)), (db.table(unique.collection()), document_key(&owner))];
        let mut items = snapshot(db, keys, None).await?.into_iter();
        let (guard, item) = (items.next().flatten(), items.next().flatten());
        match self::owner(db, unique, guard.as_ref())? {
            Some(other) if other != owner => owner = other,
            Some(_) => {
                let document = item.map(|item| document_of(unique.collection(), item)).transpose()?;
                let now = db.ambient.now();
                return Ok(document.filter(|found| !found.is_expired(now) && unique.is_held_by(found)));
            }
            None => return Ok(None),
        }
    }
    Err(Error::Contended)
}

/// Returns the document that a guard names, unless the guard has expired.
fn owner(db: &DynamoDb, unique: &UniqueKey, guard: Option<&Item>) -> Result<Option<Key>> {
    let now = db.ambient.now();
    let Some(guard) = guard.filter(|guard| !is_expired(expiry_of(guard), now)) else { return Ok(None) };
    let owner = owner_of(guard)
        .ok_or_else(|| Error::Corrupt(format!("a guard of {unique:?} does not name its document")))?;
    Key::new(unique.collection(), owner).map(Some)
}
