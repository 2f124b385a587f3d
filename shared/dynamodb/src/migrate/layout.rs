//! The record that `migrate` keeps of each collection in the system table: under which declaration its documents are
//! indexed, and how far a change of it has come.

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
/// The declaration that every document is indexed under.
const CURRENT: &str = "current";
/// The declaration that the documents are being brought to.
const TARGET: &str = "target";
/// The declarations that documents may be indexed under while that is so.
const TRACES: &str = "traces";
/// Which time the documents are gone through: see [`Phase`].
const PHASE: &str = "phase";
/// What is kept of [`Phase::Clear`]; of [`Phase::Add`], nothing.
const CLEAR: &str = "clear";
/// The last document, in the order of a scan, that this phase has reached.
const PROGRESS: &str = "progress";
/// The id of the change that is under way, or was made last.
const CHANGE: &str = "change";

/// A change goes through all documents twice, so that one which is refused or interrupted halfway has taken nothing from
/// the programs that go on under what was declared before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// What is new is added, which shows whether it can be.
    Add,
    /// What was declared before is changed and removed.
    Clear,
}

/// A change of declaration that is under way.
#[derive(Debug)]
pub(crate) struct Task {
    /// All who bring the documents to one declaration at once share it: what they do is the same.
    change: String,
    target: String,
    /// What documents that are not reached yet are indexed under for certain; `None` where that is nothing, and where a
    /// change was given up, which may have removed some of it.
    pub(crate) current: Option<&'static Collection>,
    /// Everything that documents may have left beside them.
    pub(crate) traces: Vec<&'static Collection>,
    pub(crate) phase: Phase,
    /// The id behind which the work goes on.
    pub(crate) progress: Option<String>,
}

impl Task {
    /// Whether anything that was declared before can have left something to clear away.
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

/// What has to be done for `collection`; `None` when nothing. A change to the same declaration that is under way is joined,
/// one to another declaration is given up, and learns of it from [`save`] or [`finish`].
///
/// # Errors
///
/// [`Error::Contended`] where others begin changes again and again.
pub(crate) async fn begin(db: &DynamoDb, collection: &Collection) -> Result<Option<Task>> {
    let mut attempt = 1;
    loop {
        let record = get_item(db, db.system_table(), key(collection)).await?.unwrap_or_default();
        let Some(task) = task_of(db, collection, &record)? else { return Ok(None) };
        // Only over what was read: another may be beginning too, and what it leaves has to be known.
        if put(db, record_of(collection, &task), text_of(&record, CHANGE)).await? {
            return Ok(Some(task));
        }
        if !Backoff::CONTENTION.pause(attempt, &db.ambient).await {
            return Err(Error::Contended);
        }
        attempt += 1;
    }
}

/// What `record` leaves to do for `collection`.
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
    // A change that was given up has left its traces too, and documents without what was current before it.
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

/// Records how far a change has come.
///
/// # Errors
///
/// [`Error::Contended`] where it was given up for another one.
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
/// [`Error::Contended`] where the change was given up for another one.
pub(crate) async fn finish(db: &DynamoDb, collection: &Collection, task: &Task) -> Result<()> {
    let mut item = key(collection);
    item.insert(CURRENT.to_owned(), text(declaration(collection)));
    // It stays, so that this record may be written again when its reply is lost.
    item.insert(CHANGE.to_owned(), text(&task.change));
    put_over_own(db, item, task).await
}

async fn put_over_own(db: &DynamoDb, record: Item, task: &Task) -> Result<()> {
    if put(db, record, Some(task.change.clone())).await? { Ok(()) } else { Err(Error::Contended) }
}

/// Writes a record over that of the change `before`, or over none; `false` where there is another change's by now.
async fn put(db: &DynamoDb, record: Item, before: Option<String>) -> Result<bool> {
    let own = text_of(&record, CHANGE).unwrap_or_default();
    let write = Write::put(db.system_table(), record).value(":own", text(own));
    // Over its own record always: the same one again does no harm, and is written when a reply is lost.
    let write = match before {
        Some(before) => write.only_if("#change IN (:own, :before)").value(":before", text(before)),
        None => write.only_if("#change = :own OR attribute_not_exists(#change)"),
    };
    db.write(write).await
}

/// The collections that were ever migrated here, as far as their indexes go: what tells a sweep, which is told nothing,
/// where expired documents are and what stands beside them.
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
