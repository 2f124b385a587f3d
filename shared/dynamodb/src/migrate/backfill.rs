//! Indexes stored documents under a changed declaration, one document at a time. Each write requires that the
//! document still has the version that was read. A document that was written meanwhile is read again.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason};
use futures::stream::{self, TryStreamExt as _};
use switchyard_ambient::Timestamp;
use switchyard_database::retry::Backoff;
use switchyard_database::{Collection, Document, Error, Key, Projection, Result, UniqueKey};

use crate::DynamoDb;
use crate::commit::stale_guard::{self, StaleGuard};
use crate::failure::{Failure, is_throttling};
use crate::item::{
    body_attributes, document_key, document_of, guard_item, index_attributes, owner_of, term_item, term_key,
};
use crate::migrate::layout::{Phase, Task};
use crate::read::get_item;
use crate::tables::{document, partition_attribute, position_attribute};
use crate::value::{Item, number, text};
use crate::write::Write;

/// The number of documents in one step. The progress is recorded after each step.
const PAGE: i32 = 200;
/// How many documents are processed concurrently.
const CONCURRENCY: usize = 8;
/// The number of guards and terms that fit in one transaction besides the document's own item.
const DERIVED_ITEMS: usize = 99;

/// Applies the current phase of the migration to the next documents. Returns the id of the last one, or `None` at
/// the end of the collection.
pub(crate) async fn next_page(
    db: &DynamoDb,
    collection: &'static Collection,
    task: &Task,
) -> Result<Option<String>> {
    let start = task.progress.as_ref().map(|id| Item::from([(document::ID.to_owned(), text(id))]));
    let request = db.client.scan().table_name(db.table(collection)).consistent_read(true).limit(PAGE);
    let request = request.set_exclusive_start_key(start);
    let answer = db.read(|| request.clone().send()).await?;
    stream::iter(answer.items.unwrap_or_default().into_iter().map(Ok))
        .try_for_each_concurrent(CONCURRENCY, |item| migrate_document(db, collection, task, item))
        .await?;
    let last = answer.last_evaluated_key.as_ref().and_then(|key| key.get(document::ID));
    Ok(last.and_then(|id| id.as_s().ok()).cloned())
}

async fn migrate_document(
    db: &DynamoDb,
    collection: &'static Collection,
    task: &Task,
    mut item: Item,
) -> Result<()> {
    let mut attempt = 1;
    loop {
        let attributes = item.clone();
        let document = document_of(collection, item)?;
        let key = document.key.clone();
        // Expired documents need no index entries, and their guards and terms expire with them.
        if document.is_expired(db.ambient.now()) {
            return Ok(());
        }
        if apply(db, task, &document, &attributes).await? == Progress::Done {
            return Ok(());
        }
        if !Backoff::CONTENTION.pause(attempt, &db.ambient).await {
            return Err(Error::Contended);
        }
        attempt += 1;
        match get_item(db, db.table(collection), document_key(&key)).await? {
            Some(newer) => item = newer,
            None => return Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Done,
    /// Another writer interfered, or a stale guard was removed.
    Again,
}

async fn apply(db: &DynamoDb, task: &Task, document: &Document, attributes: &Item) -> Result<Progress> {
    let changes = Changes::new(task, document, attributes)?;
    let key = &document.key;
    for guard in changes.old_guards.iter().cloned() {
        let (owner, document) = (key.clone(), Some(document.version));
        if !stale_guard::remove(db, StaleGuard { guard, owner, document }).await? {
            return Ok(Progress::Again);
        }
    }
    let derived = changes.writes(db, key);
    let mut update = changes.update(db, document);
    if derived.is_empty() {
        let Some(update) = update else { return Ok(Progress::Done) };
        return settle(db, key, &[], update.send(&db.client).await).await;
    }
    for chunk in derived.chunks(DERIVED_ITEMS) {
        let own =
            update.take().unwrap_or_else(|| Write::check(db.table(key.collection()), document_key(key)));
        let mut items = vec![at_version(own, document).into_transaction_item()?];
        for (_, write) in chunk {
            items.push(write.clone().into_transaction_item()?);
        }
        let sent = db.client.transact_write_items().set_transact_items(Some(items)).send().await;
        let guards: Vec<_> = chunk.iter().map(|(guard, _)| *guard).collect();
        let progress = settle(db, key, &guards, sent.map(drop).map_err(Failure::from)).await?;
        if progress == Progress::Again {
            return Ok(Progress::Again);
        }
    }
    Ok(Progress::Done)
}

fn at_version(write: Write, document: &Document) -> Write {
    write.only_if("#version = :version").value(":version", text(document.version.to_string()))
}

/// Interprets the outcome of a write. `guards` are the guards that its items claim, in order; `None` for the other
/// items.
async fn settle(
    db: &DynamoDb,
    key: &Key,
    guards: &[Option<&UniqueKey>],
    outcome: Result<(), Failure>,
) -> Result<Progress> {
    let reasons = match outcome {
        Ok(()) => return Ok(Progress::Done),
        Err(Failure::Cancelled(reasons)) => reasons,
        // Every write here is idempotent, so it may be sent again.
        Err(Failure::Condition(_)) => return Ok(Progress::Again),
        Err(failure) if failure.is_transient() => return Ok(Progress::Again),
        Err(failure) => return Err(db.error_of(failure)),
    };
    if let Some(reason) = reasons.iter().find(|reason| !is_passing(code_of(reason))) {
        let (code, message) = (code_of(reason), reason.message.as_deref().unwrap_or_default());
        return Err(Error::Internal(format!("{key} cannot be indexed: {code}: {message}")));
    }
    let mut reasons = reasons.iter();
    // The document itself was or is being written: it may no longer hold the values that were claimed for it.
    if reasons.next().is_some_and(|own| code_of(own) != "None") {
        return Ok(Progress::Again);
    }
    for (guard, reason) in guards.iter().zip(reasons) {
        if let (Some(guard), Some(owner)) = (guard, reason.item.as_ref().and_then(owner_of)) {
            match stale_guard::find(db, guard, owner).await? {
                // Whether or not it was removed, the document is read again.
                Some(stale) => drop(stale_guard::remove(db, stale).await?),
                None => {
                    let (collection, attribute) = (guard.collection(), guard.attribute());
                    return Err(Error::not_unique(collection, attribute, owner, key.id()));
                }
            }
        }
    }
    Ok(Progress::Again)
}

fn code_of(reason: &CancellationReason) -> &str {
    reason.code.as_deref().unwrap_or("None")
}

/// Whether a cancellation reason may not apply to the next attempt.
fn is_passing(code: &str) -> bool {
    matches!(code, "None" | "ConditionalCheckFailed" | "TransactionConflict") || is_throttling(code)
}

/// The writes of one phase that index a document as its collection declares.
#[derive(Default)]
struct Changes {
    set: Vec<(String, AttributeValue)>,
    remove: Vec<String>,
    expires_at: Option<Timestamp>,
    new_guards: BTreeSet<UniqueKey>,
    old_guards: BTreeSet<UniqueKey>,
    new_terms: BTreeSet<String>,
    old_terms: BTreeSet<String>,
}

impl Changes {
    fn new(task: &Task, document: &Document, stored: &Item) -> Result<Self> {
        let after = Projection::of(document);
        let mut changes = Self { expires_at: document.expires_at, ..Self::default() };
        changes.index(task, index_attributes(&document.key, &after), stored);
        changes.body(body_attributes(&document.key, &document.body), stored);
        match task.phase {
            Phase::Add => {
                let (guards, terms) = guards_and_terms(document, task.current)?;
                changes.new_guards = &after.guards - &guards;
                changes.new_terms = &after.terms - &terms;
            }
            Phase::Clear => {
                let (guards, terms) = guards_and_terms(document, task.traces.iter().copied())?;
                changes.old_guards = &guards - &after.guards;
                changes.old_terms = &terms - &after.terms;
            }
        }
        Ok(changes)
    }

    /// Computes the changes of the document's index attributes from `stored` to `attributes`. An index whose name
    /// was declared before may still be in use under the previous declaration, so its attributes change only in
    /// the second phase. All other index attributes are unused and can change at once.
    fn index(&mut self, task: &Task, attributes: Item, stored: &Item) {
        let was_declared = |name: &str| task.traces.iter().any(|trace| is_attribute_of(trace, name));
        let is_due = |name: &str| task.phase == Phase::Clear || !was_declared(name);
        let is_undeclared = |name: &str| is_index_attribute(name) && !attributes.contains_key(name);
        let undeclared = stored.keys().filter(|name| is_undeclared(name) && is_due(name));
        self.remove = undeclared.cloned().collect();
        let differing = attributes.into_iter().filter(|(name, value)| stored.get(name) != Some(value));
        self.set = differing.filter(|(name, _)| is_due(name)).collect();
    }

    /// Computes which fields get an attribute of their own and which lose it. Every program reads a field from either
    /// place, so this may change at any time.
    fn body(&mut self, attributes: Item, stored: &Item) {
        let is_separate = |name: &&String| name.starts_with(document::FIELD_PREFIX);
        let separate: BTreeSet<&String> = attributes.keys().filter(is_separate).collect();
        let stored: BTreeSet<&String> = stored.keys().filter(is_separate).collect();
        if separate != stored {
            self.remove.extend(stored.difference(&separate).map(|name| (*name).clone()));
            self.set.extend(attributes);
        }
    }

    /// Returns the update of the document's own item. It does not change the version or the content.
    fn update(&self, db: &DynamoDb, document: &Document) -> Option<Write> {
        if self.set.is_empty() && self.remove.is_empty() {
            return None;
        }
        let set: Vec<_> = (0..self.set.len()).map(|place| format!("#set{place} = :set{place}")).collect();
        let remove: Vec<_> = (0..self.remove.len()).map(|place| format!("#remove{place}")).collect();
        let mut expression = String::new();
        for (verb, clauses) in [("SET", set), ("REMOVE", remove)] {
            if !clauses.is_empty() {
                expression.push_str(&format!("{verb} {} ", clauses.join(", ")));
            }
        }
        let key = &document.key;
        let update = Write::update(db.table(key.collection()), document_key(key), expression);
        let set = self.set.iter().enumerate();
        let update = set.fold(update, |update, (place, (name, value))| {
            update.alias(&format!("#set{place}"), name).value(format!(":set{place}"), value.clone())
        });
        let remove = self.remove.iter().enumerate();
        let update =
            remove.fold(update, |update, (place, name)| update.alias(&format!("#remove{place}"), name));
        Some(at_version(update, document))
    }

    /// Returns the writes of guards and terms. A write that claims a unique value comes with its guard.
    fn writes(&self, db: &DynamoDb, key: &Key) -> Vec<(Option<&UniqueKey>, Write)> {
        let table = db.system_table();
        let mut writes = Vec::new();
        for guard in &self.new_guards {
            let put = Write::put(table.clone(), guard_item(guard, key, self.expires_at))
                .only_if("attribute_not_exists(#partition) OR #owner = :owner OR #expires_at <= :now")
                .value(":owner", text(key.id()))
                .value(":now", number(db.ambient.now().as_micros()));
            writes.push((Some(guard), put));
        }
        for term in &self.new_terms {
            writes.push((None, Write::put(table.clone(), term_item(key, term, self.expires_at))));
        }
        for term in &self.old_terms {
            writes.push((None, Write::delete(table.clone(), term_key(key, term))));
        }
        writes
    }
}

fn is_index_attribute(name: &str) -> bool {
    (name.ends_with("_partition") || name.ends_with("_position")) && !name.starts_with(document::FIELD_PREFIX)
}

/// Whether an attribute belongs to an index that `collection` declares.
fn is_attribute_of(collection: &Collection, name: &str) -> bool {
    collection
        .indexes
        .iter()
        .any(|index| name == partition_attribute(index) || name == position_attribute(index))
}

/// Returns the guards and terms that a document has under any of these declarations of its collection.
fn guards_and_terms(
    document: &Document,
    collections: impl IntoIterator<Item = &'static Collection>,
) -> Result<(BTreeSet<UniqueKey>, BTreeSet<String>)> {
    let (mut guards, mut terms) = (BTreeSet::new(), BTreeSet::new());
    for collection in collections {
        let key = Key::new(collection, document.key.id())?;
        let projection = Projection::of(&Document { key, ..document.clone() });
        guards.extend(projection.guards);
        terms.extend(projection.terms);
    }
    Ok((guards, terms))
}
