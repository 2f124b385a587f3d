//! The record that `migrate` keeps of each collection in the system table: under which declaration its documents are
//! indexed, and how far a change of it has come.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use switchyard_database::{Collection, Error, Field, FieldKind, Index, Result, Unique};

use crate::DynamoDb;
use crate::item::system_key;
use crate::read::get_item;
use crate::repeat::Patience;
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
/// The last document, in the order of a scan, that has been brought there.
const PROGRESS: &str = "progress";

/// A change of declaration that is under way.
#[derive(Debug)]
pub(crate) struct Task {
    target: String,
    /// What documents that are not reached yet are indexed under for certain; `None` where that is nothing, and where a
    /// change was given up, which may have removed some of it.
    pub(crate) current: Option<&'static Collection>,
    /// Everything that documents may have left beside them.
    pub(crate) traces: Vec<&'static Collection>,
    /// The id behind which the work goes on.
    pub(crate) progress: Option<String>,
}

/// What has to be done for `collection`; `None` when nothing.
pub(crate) async fn begin(db: &DynamoDb, collection: &Collection) -> Result<Option<Task>> {
    let declared = declaration(collection);
    let record = get_item(db, db.system_table(), key(collection)).await?.unwrap_or_default();
    let current = text_of(&record, CURRENT);
    let target = text_of(&record, TARGET);
    if target.is_none() && current.as_deref() == Some(declared.as_str()) {
        return Ok(None);
    }
    let resumes = target.as_deref() == Some(declared.as_str());
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
    let task = Task {
        target: declared,
        current: certain,
        traces: traces.iter().map(|trace| collection_of(trace)).collect::<Result<_>>()?,
        progress: text_of(&record, PROGRESS).filter(|_| resumes),
    };
    save(db, collection, &task).await?;
    Ok(Some(task))
}

/// Records how far a change has come.
pub(crate) async fn save(db: &DynamoDb, collection: &Collection, task: &Task) -> Result<()> {
    let mut item = key(collection);
    let traces = task.traces.iter().map(|trace| text(declaration(trace)));
    item.insert(TRACES.to_owned(), AttributeValue::L(traces.collect()));
    item.insert(TARGET.to_owned(), text(&task.target));
    if let Some(current) = task.current {
        item.insert(CURRENT.to_owned(), text(declaration(current)));
    }
    if let Some(progress) = &task.progress {
        item.insert(PROGRESS.to_owned(), text(progress));
    }
    put(db, item).await
}

/// Records that every document is indexed as `collection` declares.
pub(crate) async fn finish(db: &DynamoDb, collection: &Collection) -> Result<()> {
    let mut item = key(collection);
    item.insert(CURRENT.to_owned(), text(declaration(collection)));
    put(db, item).await
}

async fn put(db: &DynamoDb, item: Item) -> Result<()> {
    let write = Write::put(db.system_table(), item);
    let mut patience = Patience::of_write(&db.ambient);
    while let Err(failure) = write.clone().send(&db.client).await {
        // The same record again does no harm.
        if !patience.lasts(&failure).await {
            return Err(db.error_of(failure));
        }
    }
    Ok(())
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

/// What of a declaration decides what is stored beside a document, as text.
fn declaration(collection: &Collection) -> String {
    let indexes = collection.indexes.iter().map(|index| {
        json!({"name": index.name, "partition": index.partition, "sort": index.sort, "shards": index.shards})
    });
    let uniques =
        collection.uniques.iter().map(|unique| json!({"name": unique.name, "fields": unique.fields}));
    let fields = collection.fields.iter().filter(|field| {
        let in_index =
            |index: &Index| index.partition.contains(&field.name) || index.sort.contains(&field.name);
        collection.indexes.iter().any(in_index)
            || collection.uniques.iter().any(|unique| unique.fields.contains(&field.name))
    });
    let fields = fields.map(|field| json!([field.name, kind_name(field.kind)]));
    json!({
        "name": collection.name,
        "fields": fields.collect::<Vec<_>>(),
        "indexes": indexes.collect::<Vec<_>>(),
        "uniques": uniques.collect::<Vec<_>>(),
        "search": collection.search,
        "expiring": collection.expiring,
    })
    .to_string()
}

/// The collection that a stored declaration describes. Collections live as long as the program, so each different text
/// is turned into one once and kept.
fn collection_of(declaration: &str) -> Result<&'static Collection> {
    static KNOWN: Mutex<Option<HashMap<String, &'static Collection>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(collection) = known.get(declaration) {
        return Ok(collection);
    }
    let damaged =
        || Error::Corrupt(format!("the system table holds an unreadable declaration: {declaration}"));
    let value: Value = serde_json::from_str(declaration).map_err(|_| damaged())?;
    let collection = parse(&value).ok_or_else(damaged)?;
    let collection: &'static Collection = Box::leak(Box::new(collection));
    known.insert(declaration.to_owned(), collection);
    Ok(collection)
}

const KINDS: &[(&str, FieldKind)] = &[
    ("string", FieldKind::String),
    ("integer", FieldKind::Integer),
    ("time", FieldKind::Time),
    ("boolean", FieldKind::Boolean),
    ("json", FieldKind::Json),
];

fn kind_name(kind: FieldKind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("json", |(name, _)| name)
}

fn parse(value: &Value) -> Option<Collection> {
    let indexes = value.get("indexes")?.as_array()?.iter().map(|index| {
        let shards = u8::try_from(index.get("shards")?.as_u64()?).ok()?;
        let index_of = Index::new(kept_text(index.get("name")?)?);
        Some(
            index_of
                .partition(kept_texts(index.get("partition")?)?)
                .sort(kept_texts(index.get("sort")?)?)
                .shards(shards),
        )
    });
    let uniques =
        value.get("uniques")?.as_array()?.iter().map(|unique| {
            Some(Unique::new(kept_text(unique.get("name")?)?, kept_texts(unique.get("fields")?)?))
        });
    let fields = value.get("fields")?.as_array()?.iter().map(|field| {
        let kind = KINDS.iter().find(|(name, _)| field.get(1).and_then(Value::as_str) == Some(name))?.1;
        Some(Field { name: kept_text(field.get(0)?)?, kind })
    });
    let mut collection = Collection::new(kept_text(value.get("name")?)?)
        .fields(Vec::leak(fields.collect::<Option<_>>()?))
        .indexes(Vec::leak(indexes.collect::<Option<_>>()?))
        .uniques(Vec::leak(uniques.collect::<Option<_>>()?))
        .search(kept_texts(value.get("search")?)?);
    collection.expiring = value.get("expiring")?.as_bool()?;
    Some(collection)
}

fn kept_text(value: &Value) -> Option<&'static str> {
    value.as_str().map(|text| &*text.to_owned().leak())
}

fn kept_texts(value: &Value) -> Option<&'static [&'static str]> {
    let texts = value.as_array()?.iter().map(kept_text).collect::<Option<Vec<_>>>()?;
    Some(texts.leak())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_read_back_as_what_it_says() {
        const USERS: &Collection = &Collection::new("users")
            .indexes(&[
                Index::new("all").sort(&["created_at"]).shards(7),
                Index::new("by_role").partition(&["role"]),
            ])
            .uniques(&[Unique::new("login", &["tenant", "email"])])
            .search(&["name"])
            .fields(&[Field::time("created_at"), Field::string("role"), Field::json("rest")])
            .expiring();
        let text = declaration(USERS);
        let read = collection_of(&text).unwrap();
        assert_eq!(read.fields, &USERS.fields[..2]);
        assert_eq!((read.indexes, read.uniques), (USERS.indexes, USERS.uniques));
        assert_eq!((read.name, read.search, read.expiring), ("users", USERS.search, true));
        assert_eq!(declaration(read), text);
        assert!(std::ptr::eq(collection_of(&text).unwrap(), read));
    }
}
