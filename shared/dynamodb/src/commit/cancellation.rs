//! Interprets a cancelled transaction: which operations failed and why, or what has to be cleaned up before it is
//! sent again.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::CancellationReason;
use futures::future::try_join_all;
use switchyard_database::{Batch, Cause, Error, Rejection, Result, UniqueKey, Version, cause_of_document};

use crate::DynamoDb;
use crate::commit::stale_guard::{self, StaleGuard};
use crate::failure::{is_throttling, is_too_large};
use crate::item::{document_of, owner_of};
use crate::value::Item;

/// The part of the batch that an item of a transaction writes, and so what the cancellation reason at the same
/// index is about.
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
    /// The transaction has already been applied; an earlier reply was lost.
    Applied,
    /// Report these rejections.
    Rejected(Vec<Rejection>),
    /// Only guards that no document holds are in the way. Remove the `stale` guards, do not release the `foreign`
    /// ones, and send the transaction again.
    Tidy { stale: Vec<StaleGuard>, foreign: Vec<UniqueKey> },
    /// Another transaction wrote the same items at the same time.
    Contended,
    /// Too many requests.
    Throttled,
}

/// Interprets the cancellation reasons of a transaction. DynamoDB returns one for each item, in the same order.
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
                return Err(error(format!("DynamoDB rejected the transaction: {code}: {message}")));
            }
        }
    }
    // Throttling and contention come before rejections: an item that was not examined may hold the lowest
    // rejection.
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
    /// Claims that found a guard: the index of the guard change, the operation, and the id of the guard's owner.
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
