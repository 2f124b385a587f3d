//! Decides a batch that conflicts with another transaction by reading what it names.
//!
//! A transaction that has lost a race conflicts with the other losers, again and again, long after the winner's commit
//! has decided the race. Plain reads conflict with nobody, so they show the decision as soon as there is one.

use std::collections::{BTreeMap, HashMap};

use switchyard_database::{Batch, Consistency, Error, Key, Result, State, UniqueKey, Version, evaluate};

use crate::DynamoDb;
use crate::commit::cancellation::Verdict;
use crate::read::{get_live, lookup};

/// Returns the verdict on a batch if the stored state already decides it. `None` means that the batch can still be
/// applied.
pub(crate) async fn decide(db: &DynamoDb, batch: &Batch) -> Result<Option<Verdict>> {
    let state = read(db, batch).await?;
    let is_ours =
        |key: &Key, version| state.documents.get(key).is_some_and(|stored| stored.version == version);
    let mut written = batch.operations().iter().filter(|prepared| prepared.version != Version::NONE);
    if written.any(|prepared| is_ours(prepared.key(), prepared.version)) {
        return Ok(Some(Verdict::Applied));
    }
    let Err(error) = evaluate(batch, &state, db.ambient.now()) else { return Ok(None) };
    let Error::Rejected(rejections) = error else { return Err(error) };
    // Which operation is the lowest that fails is known only for a state that existed at one moment. The documents
    // were read at different moments; if they are the same when they are read again, all of them existed in between.
    let again = read(db, batch).await?;
    Ok(is_same(&state, &again).then_some(Verdict::Rejected(rejections)))
}

/// Reads the live documents that the batch names, and the holders of the values that it claims.
async fn read(db: &DynamoDb, batch: &Batch) -> Result<State> {
    let keys: Vec<Key> = batch.operations().iter().map(|prepared| prepared.key().clone()).collect();
    let documents = get_live(db, &keys, Consistency::Linearizable).await?;
    let mut owners: HashMap<UniqueKey, Key> = HashMap::new();
    for change in batch.guard_changes().iter().filter(|change| change.claimed_by.is_some()) {
        if let Some(holder) = lookup(db, &change.guard).await? {
            owners.insert(change.guard.clone(), holder.key);
        }
    }
    Ok(State { documents, owners })
}

fn is_same(one: &State, other: &State) -> bool {
    let versions = |state: &State| -> BTreeMap<Key, Version> {
        state.documents.iter().map(|(key, document)| (key.clone(), document.version)).collect()
    };
    one.owners == other.owners && versions(one) == versions(other)
}
