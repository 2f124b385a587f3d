//! Commits batches with `TransactWriteItems`. Each request has a token, so that it can be sent again after a lost
//! reply and is applied only once.

use aws_sdk_dynamodb::types::TransactWriteItem;
use switchyard_database::{Batch, Error, Result, UniqueKey, Version};

use crate::DynamoDb;
use crate::commit::Purpose;
use crate::commit::cancellation::{self, Subject, Verdict};
use crate::commit::writes::{document_write, guard_write, term_write};
use crate::commit::{contention, stale_guard};
use crate::failure::Failure;
use crate::read::get_stored;
use crate::repeat::Patience;

/// A transaction request, which is sent again unchanged.
struct Request {
    items: Vec<TransactWriteItem>,
    subjects: Vec<Subject>,
    token: String,
}

/// Applies a batch atomically.
pub(crate) async fn commit(db: &DynamoDb, batch: &Batch, purpose: Purpose) -> Result<()> {
    // Guards that the batch should release but that belong to another document. They are not changed.
    let mut foreign: Vec<UniqueKey> = Vec::new();
    let mut patience = db.patience();
    loop {
        let request = Request::new(db, batch, purpose, &foreign)?;
        let Some(reasons) = send(db, batch, &request, &mut patience).await? else { return Ok(()) };
        let again = match cancellation::interpret(db, batch, &request.subjects, reasons).await? {
            Verdict::Applied => return Ok(()),
            Verdict::Rejected(rejections) => return Err(Error::Rejected(rejections)),
            Verdict::Tidy { stale, foreign: more } => {
                foreign.extend(more);
                for guard in stale {
                    stale_guard::remove(db, guard).await?;
                }
                Failure::Contended
            }
            Verdict::Contended if purpose == Purpose::Commit => match contention::decide(db, batch).await? {
                Some(Verdict::Applied) => return Ok(()),
                Some(Verdict::Rejected(rejections)) => return Err(Error::Rejected(rejections)),
                _ => Failure::Contended,
            },
            Verdict::Contended => Failure::Contended,
            Verdict::Throttled => Failure::Throttled,
        };
        if matches!(again, Failure::Contended) {
            patience.answered();
        }
        if !patience.lasts(&again).await {
            return Err(db.error_of(again));
        }
    }
}

impl Request {
    fn new(db: &DynamoDb, batch: &Batch, purpose: Purpose, foreign: &[UniqueKey]) -> Result<Self> {
        let now = db.ambient.now();
        let documents = batch.operations().iter().enumerate();
        let documents = documents
            .map(|(place, prepared)| (Subject::Document(place), document_write(db, prepared, now, purpose)));
        let guards = batch.guard_changes().iter().enumerate();
        let guards = guards
            .filter(|(_, change)| change.claimed_by.is_some() || !foreign.contains(&change.guard))
            .map(|(place, change)| (Subject::Guard(place), guard_write(db, batch, change, now)));
        let terms = batch.term_changes().iter();
        let terms = terms.map(|change| (Subject::Term, term_write(db, batch, change)));
        let (mut items, mut subjects) = (Vec::new(), Vec::new());
        for (subject, write) in documents.chain(guards).chain(terms) {
            subjects.push(subject);
            items.push(write.into_transaction_item()?);
        }
        // The token is random instead of derived from the versions of the batch: a batch of deletes and checks has
        // no versions, and two callers that delete the same document must not share a token.
        let token = Version::new(&db.ambient).to_string();
        Ok(Self { items, subjects, token })
    }
}

/// Sends a transaction, again after transient failures. Returns `None` if it was applied, else the cancellation
/// reasons.
async fn send(
    db: &DynamoDb,
    batch: &Batch,
    request: &Request,
    patience: &mut Patience<'_>,
) -> Result<Option<Vec<aws_sdk_dynamodb::types::CancellationReason>>> {
    let mut lost = None;
    loop {
        let sent = db
            .client
            .transact_write_items()
            .set_transact_items(Some(request.items.clone()))
            .client_request_token(&request.token)
            .send();
        let failure = match sent.await.map_err(Failure::from) {
            Ok(_) => {
                patience.answered();
                return Ok(None);
            }
            Err(Failure::Cancelled(reasons)) => return Ok(Some(reasons)),
            Err(failure) => failure,
        };
        if let Failure::Lost(reason) = &failure {
            lost = Some(reason.clone());
        }
        if !patience.lasts(&failure).await {
            return match lost {
                Some(reason) if find_out(db, batch).await => {
                    tracing::debug!(reason, "a transaction whose reply was lost was applied");
                    Ok(None)
                }
                Some(reason) => Err(Error::OutcomeUnknown(reason)),
                None => Err(db.error_of(failure)),
            };
        }
    }
}

/// Whether the batch was applied: whether one of its documents has the new version.
async fn find_out(db: &DynamoDb, batch: &Batch) -> bool {
    for prepared in batch.operations().iter().filter(|prepared| prepared.version != Version::NONE) {
        match get_stored(db, prepared.key()).await {
            Ok(Some(stored)) if stored.version == prepared.version => return true,
            Ok(_) => {}
            Err(_) => return false, // the other documents cannot be read either
        }
    }
    false
}
