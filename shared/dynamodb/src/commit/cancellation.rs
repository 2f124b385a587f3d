//! What a cancelled transaction means: which operations failed and why, or what has to be tidied up first.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::CancellationReason;
use futures::future::try_join_all;
use switchyard_database::{Batch, Cause, Error, Rejection, Result, UniqueKey, Version, cause_of_document};

use crate::DynamoDb;
use crate::commit::stale_guard::{self, StaleGuard};
use crate::failure::{is_throttling, is_too_large};
use crate::item::{document_of, owner_of};
use crate::value::Item;

/// Which part of the batch an item of a transaction writes. The cancellation reason at the same position is about it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    /// The document of the operation at this index.
    Document(usize),
    /// The guard change at this index.
    Guard(usize),
    /// A search term.
    Term,
}

/// What to do about a cancelled transaction.
pub(crate) enum Verdict {
    /// It was applied before: an earlier reply was lost.
    Applied,
    /// It does not fit.
    Rejected(Vec<Rejection>),
    /// Nothing is in the way but what nobody holds: remove the stale guards, leave the foreign ones alone, and send it
    /// again.
    Tidy { stale: Vec<StaleGuard>, foreign: Vec<UniqueKey> },
    /// Another transaction came between.
    Contended,
    /// Too many requests.
    Throttled,
}

/// Returns what the cancellation reasons of a transaction mean: DynamoDB gives one for each item, in order.
pub(crate) async fn interpret(
    db: &DynamoDb,
    batch: &Batch,
    subjects: &[Subject],
    reasons: Vec<CancellationReason>,
) -> Result<Verdict> {
    let mut findings = Findings::default();
    let (mut contended, mut throttled) = (false, false);
    for (subject, reason) in subjects.iter().zip(reasons) {
        match reason.code.as_deref().unwrap_or("None") {
            "None" => {}
            "ConditionalCheckFailed" => findings.add(db, batch, *subject, reason.item)?,
            "TransactionConflict" => contended = true,
            code if is_throttling(code) => throttled = true,
            code => {
                let message = reason.message.unwrap_or_default();
                let error = if is_too_large(&message) { Error::Limit } else { Error::Internal };
                return Err(error(format!("DynamoDB refuses the transaction: {code}: {message}")));
            }
        }
    }
    // Before anything is concluded: an item that was not looked at may hold the lowest rejection.
    match findings {
        Findings { applied: true, .. } => Ok(Verdict::Applied),
        _ if throttled => Ok(Verdict::Throttled),
        _ if contended => Ok(Verdict::Contended),
        findings => findings.verdict(db, batch).await,
    }
}

#[derive(Default)]
struct Findings {
    applied: bool,
    causes: BTreeMap<usize, Cause>,
    foreign: Vec<UniqueKey>,
    /// Claims that met a guard: the place of its change, the operation, and the id of its owner.
    claims: Vec<(usize, usize, String)>,
}

impl Findings {
    fn add(&mut self, db: &DynamoDb, batch: &Batch, subject: Subject, stored: Option<Item>) -> Result<()> {
        match (subject, stored) {
            (Subject::Document(place), stored) => {
                let prepared = &batch.operations()[place];
                let stored = stored.map(|item| document_of(prepared.key().collection(), item)).transpose()?;
                let version = stored.as_ref().map_or(Version::NONE, |stored| stored.version);
                self.applied |= prepared.version != Version::NONE && version == prepared.version;
                let now = db.ambient.now();
                let current = stored.as_ref().filter(|document| !document.is_expired(now));
                if let Some(cause) = cause_of_document(prepared, current)? {
                    self.causes.insert(place, cause);
                }
            }
            (Subject::Guard(place), Some(guard)) => {
                let change = &batch.guard_changes()[place];
                match (change.claimed_by, owner_of(&guard)) {
                    (Some(operation), Some(owner)) => self.claims.push((place, operation, owner.to_owned())),
                    (None, Some(_)) => self.foreign.push(change.guard.clone()),
                    (_, None) => {
                        let message = format!("a guard of {:?} does not name its document", change.guard);
                        return Err(Error::Corrupt(message));
                    }
                }
            }
            (Subject::Guard(_) | Subject::Term, _) => {}
        }
        Ok(())
    }

    async fn verdict(mut self, db: &DynamoDb, batch: &Batch) -> Result<Verdict> {
        let claims = self.claims.iter().map(|(place, operation, owner)| {
            let guard = &batch.guard_changes()[*place].guard;
            async move { Ok::<_, Error>((guard, *operation, stale_guard::find(db, guard, owner).await?)) }
        });
        let mut stale = Vec::new();
        for (guard, operation, found) in try_join_all(claims).await? {
            let taken = Cause::UniqueTaken { attribute: guard.attribute() };
            match found {
                Some(guard) => stale.push(guard),
                None => {
                    let cause = self.causes.entry(operation).or_insert(taken);
                    *cause = taken.min(*cause);
                }
            }
        }
        if self.causes.is_empty() {
            return Ok(Verdict::Tidy { stale, foreign: self.foreign });
        }
        let rejections = self.causes.into_iter().map(|(operation, cause)| Rejection {
            operation,
            key: batch.operations()[operation].key().clone(),
            cause,
        });
        Ok(Verdict::Rejected(rejections.collect()))
    }
}
