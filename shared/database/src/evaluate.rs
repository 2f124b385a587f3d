//! What a commit decides, for the backends that read the state under locks and decide on it themselves.

use std::collections::HashMap;

use switchyard_ambient::Timestamp;

use crate::batch::{Expect, Operation, Prepared};
use crate::{Batch, Cause, Document, Error, Key, Rejection, Result, UniqueKey};

/// What is stored of everything that a batch names, read under the locks that keep it so.
#[derive(Debug, Default)]
pub struct State {
    /// The documents that the operations name; expired ones may be among them and count as absent.
    pub documents: HashMap<Key, Document>,
    /// Which live document holds each unique value that the batch claims.
    pub owners: HashMap<UniqueKey, Key>,
}

impl State {
    fn live(&self, key: &Key, now: Timestamp) -> Option<&Document> {
        self.documents.get(key).filter(|document| !document.is_expired(now))
    }
}

/// Whether `batch` fits `state`.
///
/// # Errors
///
/// [`Error::Rejected`] with one rejection for each operation that does not fit, in order; [`Error::Corrupt`] where a
/// counter is not a number.
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

/// Why the document itself does not allow an operation; `current` is its live state.
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
        (Expect::Absent, Some(_)) | (Expect::Exists | Expect::Version(_), None) => Some(Cause::CheckFailed),
        (Expect::Version(_), Some(_)) => Some(Cause::CheckFailed),
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

/// A claim fails where another document holds the value, unless the batch makes that document let go of it.
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
