//! Decides whether a batch can be applied, for backends that read the state under locks.

use std::collections::HashMap;

use switchyard_ambient::Timestamp;

use crate::batch::{Expect, Operation, Prepared};
use crate::{Batch, Cause, Document, Error, Key, Rejection, Result, UniqueKey};

/// The stored state of everything that a batch names, read under locks that prevent it from changing.
#[derive(Debug, Default)]
pub struct State {
    /// The documents that the operations name. Expired ones may be included; they count as absent.
    pub documents: HashMap<Key, Document>,
    /// The live document that holds each unique value that the batch claims.
    pub owners: HashMap<UniqueKey, Key>,
}

impl State {
    fn live(&self, key: &Key, now: Timestamp) -> Option<&Document> {
        self.documents.get(key).filter(|document| !document.is_expired(now))
    }
}

/// Checks whether `batch` can be applied to `state`.
///
/// # Errors
///
/// Fails with [`Error::Rejected`], with one rejection for each operation that conflicts with the state, in order,
/// and with [`Error::Corrupt`] if a counter is not an integer.
pub fn evaluate(batch: &Batch, state: &State, now: Timestamp) -> Result<()> {
    let mut rejections = Vec::new();
    for (operation, prepared) in batch.operations().iter().enumerate() {
        let current = state.live(prepared.key(), now);
        let cause = match cause_of_document(prepared, current)? {
            Some(cause) if cause < FIRST_CAUSE_AFTER_UNIQUENESS => Some(cause),
            cause => cause_of_guards(batch, operation, state).or(cause),
        };
        if let Some(cause) = cause {
            rejections.push(Rejection { operation, key: prepared.key().clone(), cause });
        }
    }
    if rejections.is_empty() { Ok(()) } else { Err(Error::Rejected(rejections)) }
}

const FIRST_CAUSE_AFTER_UNIQUENESS: Cause = Cause::BelowMinimum;

/// The cause for which the document itself rejects an operation, if there is one; `current` is the live document.
pub fn cause_of_document(prepared: &Prepared, current: Option<&Document>) -> Result<Option<Cause>> {
    let cause = match (&prepared.operation, current) {
        (Operation::Create { .. }, Some(_)) => Some(Cause::AlreadyExists),
        (Operation::Create { .. }, None) => None,
        (Operation::Replace { .. } | Operation::Delete { .. } | Operation::Increment { .. }, None) => {
            Some(Cause::NotFound)
        }
        (Operation::Replace { previous, .. } | Operation::Delete { previous }, Some(current)) => {
            (previous.version != current.version).then_some(Cause::VersionMismatch)
        }
        (Operation::Increment { field, by, at_least, .. }, Some(current)) => {
            cause_of_increment(current, field, *by, *at_least)?
        }
        (Operation::Check { expect, .. }, current) => cause_of_check(*expect, current),
    };
    Ok(cause)
}

fn cause_of_check(expect: Expect, current: Option<&Document>) -> Option<Cause> {
    match (expect, current) {
        (Expect::Absent, None) | (Expect::Exists, Some(_)) => None,
        (Expect::Version(version), Some(current)) if version == current.version => None,
        (Expect::Absent | Expect::Version(_), Some(_)) | (Expect::Exists | Expect::Version(_), None) => {
            Some(Cause::CheckFailed)
        }
    }
}

pub(crate) fn cause_of_increment(
    current: &Document,
    field: &str,
    by: i64,
    at_least: Option<i64>,
) -> Result<Option<Cause>> {
    let number = current.body.get(field).and_then(serde_json::Value::as_i64).ok_or_else(|| {
        Error::Corrupt(format!("the counter `{field}` of {} is not an integer", current.key))
    })?;
    let sum = i128::from(number) + i128::from(by);
    if at_least.is_some_and(|at_least| sum < i128::from(at_least)) {
        return Ok(Some(Cause::BelowMinimum));
    }
    Ok(i64::try_from(sum).is_err().then_some(Cause::Overflow))
}

/// The cause for which a unique value rejects an operation. A claim fails if another document holds the value,
/// unless the batch makes that document release it.
fn cause_of_guards(batch: &Batch, operation: usize, state: &State) -> Option<Cause> {
    let key_of = |place: usize| batch.operations()[place].key();
    let is_taken = |owner: &Key, released_by: Option<usize>| {
        owner != key_of(operation) && released_by.is_none_or(|place| key_of(place) != owner)
    };
    batch
        .guard_changes()
        .iter()
        .filter(|change| change.claimed_by == Some(operation))
        .find(|change| {
            state.owners.get(&change.guard).is_some_and(|owner| is_taken(owner, change.released_by))
        })
        .map(|change| Cause::UniqueTaken { attribute: change.guard.attribute() })
}
