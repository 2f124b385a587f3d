//! What a cancelled transaction means: which operations failed and why, or what has to be tidied up first.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::CancellationReason;
use futures::future::try_join_all;
use switchyard_database::{
    Batch, Cause, Error, Key, Projection, Rejection, Result, UniqueKey, Version, cause_of_document,
};

use crate::DynamoDb;
use crate::commit::leftover::Leftover;
use crate::commit::transaction::Subject;
use crate::failure::{is_throttling, is_too_large};
use crate::item::{document_of, owner_of};
use crate::read::get_stored;
use crate::value::Item;

/// What to do about a cancelled transaction.
pub(crate) enum Verdict {
    /// It was applied before: an earlier reply was lost.
    Applied,
    /// It does not fit.
    Rejected(Vec<Rejection>),
    /// Nothing but leftovers is in the way: remove them, leave the foreign guards alone, and send it again.
    Tidy { leftovers: Vec<Leftover>, foreign: Vec<UniqueKey> },
    /// Another transaction came between.
    Contended,
    /// Too many requests.
    Throttled,
}

/// Judges the reasons that DynamoDB gives, one for each item, in order.
pub(crate) async fn judge(
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
    leftovers: Vec<Leftover>,
    foreign: Vec<UniqueKey>,
    /// Claims that met a guard, with the id of its owner.
    claims: Vec<(usize, String)>,
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
                let is_leftover = stored.is_some() && current.is_none();
                match cause_of_document(prepared, current)? {
                    Some(cause) => {
                        self.causes.insert(place, cause);
                    }
                    None if is_leftover => self.leftovers.extend(stored.map(Leftover::Expired)),
                    None => {}
                }
            }
            (Subject::Guard(place), Some(guard)) => {
                let change = &batch.guard_changes()[place];
                match (change.claimed_by, owner_of(&guard)) {
                    (Some(_), Some(owner)) => self.claims.push((place, owner.to_owned())),
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
        let claims = std::mem::take(&mut self.claims);
        let claims = claims.iter().map(|(place, owner)| {
            let change = &batch.guard_changes()[*place];
            async move { Ok::<_, Error>((change, examine_claim(db, &change.guard, owner).await?)) }
        });
        for (change, found) in try_join_all(claims).await? {
            match (found, change.claimed_by) {
                (Claim::Taken, Some(place)) => {
                    let taken = Cause::UniqueTaken { attribute: change.guard.attribute() };
                    let cause = self.causes.entry(place).or_insert(taken);
                    *cause = taken.min(*cause);
                }
                (Claim::HeldBy(leftover), _) => self.leftovers.push(leftover),
                (Claim::Taken, None) => {}
            }
        }
        if self.causes.is_empty() {
            return Ok(Verdict::Tidy { leftovers: self.leftovers, foreign: self.foreign });
        }
        let rejections = self.causes.into_iter().map(|(operation, cause)| Rejection {
            operation,
            key: batch.operations()[operation].key().clone(),
            cause,
        });
        Ok(Verdict::Rejected(rejections.collect()))
    }
}

pub(crate) enum Claim {
    /// A live document holds the value.
    Taken,
    /// Only a leftover does.
    HeldBy(Leftover),
}

/// Whether the document that a guard names really holds the value. A guard may outlive its document's claim: when that
/// has expired, or when a migration was given up halfway.
pub(crate) async fn examine_claim(db: &DynamoDb, guard: &UniqueKey, owner: &str) -> Result<Claim> {
    let key = Key::new(guard.collection(), owner)?;
    let Some(document) = get_stored(db, &key).await? else {
        return Ok(Claim::HeldBy(Leftover::Guard { guard: guard.clone(), owner: key, document: None }));
    };
    let holds = Projection::of(&document).guards.contains(guard);
    Ok(match (holds, document.is_expired(db.ambient.now())) {
        (true, false) => Claim::Taken,
        (true, true) => Claim::HeldBy(Leftover::Expired(document)),
        (false, _) => Claim::HeldBy(Leftover::Guard {
            guard: guard.clone(),
            owner: key,
            document: Some(document.version),
        }),
    })
}
