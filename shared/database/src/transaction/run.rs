use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::Transaction;
use super::state::{State, Write};
use crate::limits::MAX_BATCH_ITEMS;
use crate::retry::Backoff;
use crate::{
    Batch, Cause, Db, Document, Error, Expect, Key, Operation, Rejection, Result, UniqueKey, Version,
};

/// Runs `closure` until its writes are committed against exactly the state that it read, or until it fails on a state
/// that existed at one moment.
pub(crate) async fn run<T, E, F, C>(db: &Db, closure: C) -> Result<T, E>
where
    E: From<Error>,
    F: Future<Output = Result<T, E>>,
    C: Fn(Transaction) -> F,
{
    let mut attempt = 1;
    loop {
        let transaction = Transaction { db: db.clone(), state: Arc::default(), is_first_run: attempt == 1 };
        let result = closure(transaction.clone()).await;
        let mut state = std::mem::take(&mut *transaction.state());
        let effects = std::mem::take(&mut state.effects);
        let committed = match &result {
            Ok(_) => commit(db, state).await,
            Err(_) => confirm(db, state).await,
        };
        if let (Ok(_), Ok(Committed::Yes) | Err(Error::OutcomeUnknown(_))) = (&result, &committed) {
            effects.run().await;
        }
        match committed? {
            Committed::Yes => return result,
            Committed::ReadsAreStale => {}
        }
        if !Backoff::CONTENTION.pause(attempt, db.ambient()).await {
            return Err(Error::Contended.into());
        }
        attempt += 1;
    }
}

enum Committed {
    Yes,
    ReadsAreStale,
}

/// Checks the reads of a closure that failed. It may have read its documents at different moments, in a combination
/// that never existed, and what it decided on such reads must not be reported.
async fn confirm(db: &Db, state: State) -> Result<Committed> {
    if state.is_unreadable || state.reads.len() > MAX_BATCH_ITEMS {
        return Ok(Committed::Yes);
    }
    commit(db, State { writes: Vec::new(), ..state }).await
}

async fn commit(db: &Db, state: State) -> Result<Committed> {
    let State { reads, lookups, writes, .. } = state;
    if writes.is_empty() && reads.len() < 2 {
        return Ok(Committed::Yes); // a single linearizable read needs no check
    }
    let written: HashSet<Key> = writes.iter().map(|write| write.key().clone()).collect();
    let mut operations: Vec<(Operation, Version)> = writes.into_iter().map(operation_of).collect();
    for (key, document) in &reads {
        if !written.contains(key) {
            let expect =
                document.as_ref().map_or(Expect::Absent, |document| Expect::Version(document.version));
            operations.push((Operation::Check { key: key.clone(), expect }, Version::NONE));
        }
    }
    let batch = Batch::with_versions(operations)?;
    match db.backend().commit(&batch).await {
        Ok(_) => Ok(Committed::Yes),
        Err(Error::Rejected(rejections))
            if rejections.iter().any(|rejection| is_stale(rejection, &batch, &reads, &lookups)) =>
        {
            Ok(Committed::ReadsAreStale)
        }
        Err(error) => Err(error),
    }
}

fn operation_of(write: Write) -> (Operation, Version) {
    match write {
        Write::Put { before: None, after } => {
            let Document { key, version, body, expires_at } = after;
            (Operation::Create { key, body, expires_at }, version)
        }
        Write::Put { before: Some(previous), after } => {
            let Document { version, body, expires_at, .. } = after;
            (Operation::Replace { previous, body, expires_at }, version)
        }
        Write::Delete { before } => (Operation::Delete { previous: before }, Version::NONE),
        Write::Increment { key, field, by, at_least, version } => {
            (Operation::Increment { key, field, by, at_least }, version)
        }
    }
}

/// Whether the rejection only means that the closure acted on stale reads.
fn is_stale(
    rejection: &Rejection,
    batch: &Batch,
    reads: &BTreeMap<Key, Option<Document>>,
    lookups: &HashSet<UniqueKey>,
) -> bool {
    match rejection.cause {
        Cause::AlreadyExists | Cause::NotFound | Cause::VersionMismatch | Cause::CheckFailed => {
            reads.contains_key(&rejection.key)
        }
        Cause::UniqueTaken { attribute } => {
            let prepared = batch.operations().get(rejection.operation);
            let mut claims = prepared.and_then(|prepared| prepared.after.as_ref()).into_iter();
            claims.any(|after| after.guards.iter().any(|g| g.attribute() == attribute && lookups.contains(g)))
        }
        Cause::BelowMinimum | Cause::Overflow => false,
    }
}
