//! The record of each collection that `migrate` keeps in the system table: the declaration under which the
//! documents are indexed, and the progress of a migration.

use aws_sdk_dynamodb::types::AttributeValue;
use switchyard_database::retry::Backoff;
use switchyard_database::{Collection, Error, Result};

use crate::DynamoDb;
use crate::item::system_key;
use crate::migrate::declaration::{collection_of, declaration};
use crate::read::get_item;
use crate::tables::system;
use crate::value::{Item, bytes, text};
use crate::write::Write;

const PARTITION: &[u8] = b"layout";
/// The declaration under which every document is indexed.
const CURRENT: &str = "current";
/// The declaration to which the documents are being migrated.
const TARGET: &str = "target";
/// The declarations under which documents may be indexed during the migration.
const TRACES: &str = "traces";
/// The current phase; see [`Phase`].
const PHASE: &str = "phase";
/// The stored value for [`Phase::Clear`]. [`Phase::Add`] is stored as the absence of the attribute.
const CLEAR: &str = "clear";
/// The id of the last document, in scan order, that this phase has processed.
const PROGRESS: &str = "progress";
/// The id of the current or last migration.
const CHANGE: &str = "change";

/// A migration goes through all documents twice. If it is refused or interrupted in the first phase, it has
/// removed nothing that programs with the previous declaration use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Adds what is new. This shows whether the migration is possible.
    Add,
    /// Changes and removes what was declared before.
    Clear,
}

/// A migration of one collection.
#[derive(Debug)]
pub(crate) struct Task {
    /// The id of the migration. Instances that migrate to the same declaration at once share it, because they do
    /// the same work.
    change: String,
    target: String,
    /// The declaration under which all unprocessed documents are certainly indexed. `None` if there was no such
    /// declaration, or if a migration was abandoned, because that migration may have removed parts of it.
    pub(crate) current: Option<&'static Collection>,
    /// All declarations under which documents may have guards and terms.
    pub(crate) traces: Vec<&'static Collection>,
    pub(crate) phase: Phase,
    /// The id after which the phase continues.
    pub(crate) progress: Option<String>,
}

impl Task {
    /// Whether the previous declarations can have left anything to remove.
    pub(crate) fn has_to_clear(&self) -> bool {
        let leaves_something = |trace: &&Collection| {
            trace.expiring
                || !trace.indexes.is_empty()
                || !trace.uniques.is_empty()
                || !trace.search.is_empty()
        };
        self.traces.iter().any(leaves_something)
    }
}

/// Begins the migration of `collection`, or returns `None` if there is nothing to do. Joins a migration to the
/// same declaration that is in progress. Abandons a migration to another declaration, which then fails in [`save`]
/// or [`finish`].
///
/// # Errors
///
/// Fails with [`Error::Contended`] if other instances keep beginning migrations.
pub(crate) async fn begin(db: &DynamoDb, collection: &Collection) -> Result<Option<Task>> {
    let mut attempt = 1;
    loop {
        let record = get_item(db, db.system_table(), key(collection)).await?.unwrap_or_default();
        let Some(task) = task_of(db, collection, &record)? else { return Ok(None) };
        // Only over the record that was read: another instance may be beginning a migration too, and this one has
        // to know what that migration leaves behind.
        if put(db, record_of(collection, &task), text_of(&record, CHANGE)).await? {
            return Ok(Some(task));
        }
        if !Backoff::CONTENTION.pause(attempt, &db.ambient).await {
            return Err(Error::Contended);
        }
        attempt += 1;
    }
}

/// Returns the migration that `collection` still needs according to `record`.
fn task_of(db: &DynamoDb, collection: &Collection, record: &Item) -> Result<Option<Task>> {
    let declared = declaration(collection);
    let current = text_of(record, CURRENT);
    let target = text_of(record, TARGET);
    if target.is_none() && current.as_deref() == Some(declared.as_str()) {
        return Ok(None);
    }
    let resumes = target.as_deref() == Some(declared.as_str());
    let kept = |attribute| text_of(record, attribute).filter(|_| resumes);
    let mut traces: Vec<String> = match record.get(TRACES) {
        Some(AttributeValue::L(traces)) => traces.iter().filter_map(|t| t.as_s().ok().cloned()).collect(),
        _ => Vec::new(),
    };
    // An abandoned migration has left traces too, and some documents may no longer be indexed as they were before
    // it.
    let given_up = target.filter(|_| !resumes);
    let certain = current.as_deref().filter(|_| given_up.is_none()).map(collection_of).transpose()?;
    traces.extend(current.into_iter().chain(given_up));
    traces.sort();
    traces.dedup();
    Ok(Some(Task {
        change: kept(CHANGE).unwrap_or_else(|| db.ambient.uuid_v7().to_string()),
        target: declared,
        current: certain,
        traces: traces.iter().map(|trace| collection_of(trace)).collect::<Result<_>>()?,
        phase: if kept(PHASE).as_deref() == Some(CLEAR) { Phase::Clear } else { Phase::Add },
        progress: kept(PROGRESS),
    }))
}

/// Records the progress of a migration.
///
/// # Errors
///
/// Fails with [`Error::Contended`] if the migration was abandoned in favor of another one.
pub(crate) async fn save(db: &DynamoDb, collection: &Collection, task: &Task) -> Result<()> {
    put_over_own(db, record_of(collection, task), task).await
}

fn record_of(collection: &Collection, task: &Task) -> Item {
    let mut item = key(collection);
    item.insert(CHANGE.to_owned(), text(&task.change));
    let traces = task.traces.iter().map(|trace| text(declaration(trace)));
    item.insert(TRACES.to_owned(), AttributeValue::L(traces.collect()));
    item.insert(TARGET.to_owned(), text(&task.target));
    if let Some(current) = task.current {
        item.insert(CURRENT.to_owned(), text(declaration(current)));
    }
    if task.phase == Phase::Clear {
        item.insert(PHASE.to_owned(), text(CLEAR));
    }
    if let Some(progress) = &task.progress {
        item.insert(PROGRESS.to_owned(), text(progress));
    }
    item
}

/// Records that every document is indexed as `collection` declares.
///
/// # Errors
///
/// Fails with [`Error::Contended`] if the migration was abandoned in favor of another one.
pub(crate) async fn finish(db: &DynamoDb, collection: &Collection, task: &Task) -> Result<()> {
    let mut item = key(collection);
    item.insert(CURRENT.to_owned(), text(declaration(collection)));
    // The id is kept, so that this record can be written again if the reply is lost.
    item.insert(CHANGE.to_owned(), text(&task.change));
    put_over_own(db, item, task).await
}

async fn put_over_own(db: &DynamoDb, record: Item, task: &Task) -> Result<()> {
    if put(db, record, Some(task.change.clone())).await? { Ok(()) } else { Err(Error::Contended) }
}

/// Writes a record if the stored one belongs to the migration `before`, or if there is none and `before` is
/// `None`. Returns `false` if the stored record now belongs to another migration.
async fn put(db: &DynamoDb, record: Item, before: Option<String>) -> Result<bool> {
    let own = text_of(&record, CHANGE).unwrap_or_default();
    let write = Write::put(db.system_table(), record).value(":own", text(own));
    // Its own record may always be overwritten: the same record is written again after a lost reply, which does no
    // harm.
    let write = match before {
        Some(before) => write.only_if("#change IN (:own, :before)").value(":before", text(before)),
        None => write.only_if("#change = :own OR attribute_not_exists(#change)"),
    };
    db.write(write).await
}

/// Returns the collections that were ever migrated in these tables, as far as indexes are concerned. A sweep has
/// no declarations and needs these to find expired documents and their guards and terms.
pub(crate) async fn stored_collections(db: &DynamoDb) -> Result<Vec<&'static Collection>> {
    let mut collections = Vec::new();
    let mut start = None;
    loop {
        let request = db.client.query().table_name(db.system_table()).consistent_read(true);
        let request = request.key_condition_expression("#partition = :partition");
        let request = request.expression_attribute_names("#partition", system::PARTITION);
        let request = request.expression_attribute_values(":partition", bytes(PARTITION));
        let request = request.set_exclusive_start_key(start);
        let answer = db.read(|| request.clone().send()).await?;
        for record in answer.items.unwrap_or_default() {
            if let Some(declaration) = text_of(&record, TARGET).or_else(|| text_of(&record, CURRENT)) {
                collections.push(collection_of(&declaration)?);
            }
        }
        start = answer.last_evaluated_key;
        if start.is_none() {
            return Ok(collections);
        }
    }
}

fn key(collection: &Collection) -> Item {
    system_key(PARTITION.to_vec(), collection.name.as_bytes().to_vec())
}

fn text_of(item: &Item, attribute: &str) -> Option<String> {
    item.get(attribute)?.as_s().ok().cloned()
}
