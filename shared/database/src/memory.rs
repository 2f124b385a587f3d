use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use switchyard_ambient::{Ambient, Timestamp};

use crate::paging::{self, Entry, Range, Ranges, Source};
use crate::{
    Addition, Batch, Body, Collection, Consistency, Database, Document, Error, Key, Operation, Page,
    Prepared, Projection, Query, Result, Scan, Schema, Search, State, UniqueKey, Version, evaluate,
    term_position,
};

/// The simplest implementation of the contract: an ordered map of documents under one lock, from which everything
/// else is derived on demand. It is the model that backends are compared with, and a database for tests and
/// examples.
#[derive(Clone, Debug)]
pub struct Memory {
    pub(crate) ambient: Ambient,
    documents: Arc<Mutex<BTreeMap<Key, Document>>>,
}

impl Memory {
    /// Creates an empty store.
    pub fn new(ambient: Ambient) -> Self {
        Self { ambient, documents: Arc::default() }
    }

    /// Another handle to the same store, with another clock.
    #[must_use]
    pub fn with_ambient(&self, ambient: Ambient) -> Self {
        Self { ambient, documents: Arc::clone(&self.documents) }
    }

    pub(crate) fn documents(&self) -> MutexGuard<'_, BTreeMap<Key, Document>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Yields to other tasks, as waiting for a database would.
    pub(crate) async fn pause(&self) {
        tokio::task::yield_now().await;
    }

    /// The live documents of a collection, with `collection` as their declaration, in the order of their ids.
    fn live(&self, collection: &'static Collection) -> Result<Vec<Document>> {
        live(&self.documents(), collection, self.ambient.now())
    }
}

fn live(
    documents: &BTreeMap<Key, Document>,
    collection: &'static Collection,
    now: Timestamp,
) -> Result<Vec<Document>> {
    documents
        .values()
        .filter(|document| document.key.collection() == collection && !document.is_expired(now))
        .map(|document| Ok(Document { key: Key::new(collection, document.key.id())?, ..document.clone() }))
        .collect()
}

/// The live document that holds a unique value.
fn owner(
    documents: &BTreeMap<Key, Document>,
    unique: &UniqueKey,
    now: Timestamp,
) -> Result<Option<Document>> {
    Ok(live(documents, unique.collection(), now)?.into_iter().find(|document| unique.is_held_by(document)))
}

/// The stored state of everything that a batch names.
pub(crate) fn state_of(batch: &Batch, documents: &BTreeMap<Key, Document>, now: Timestamp) -> Result<State> {
    let mut state = State::default();
    for prepared in batch.operations() {
        let key = prepared.key();
        state.documents.extend(documents.get(key).map(|document| (key.clone(), document.clone())));
    }
    for change in batch.guard_changes() {
        let owner = owner(documents, &change.guard, now)?;
        state.owners.extend(owner.map(|owner| (change.guard.clone(), owner.key)));
    }
    Ok(state)
}

/// Applies one operation of a batch.
pub(crate) fn apply(prepared: &Prepared, documents: &mut BTreeMap<Key, Document>) {
    let key = prepared.key();
    match prepared.outcome(documents.get(key)) {
        Some(document) => drop(documents.insert(key.clone(), document)),
        None if matches!(prepared.operation, Operation::Delete { .. }) => drop(documents.remove(key)),
        None => {} // a check
    }
}

#[async_trait]
impl Database for Memory {
    async fn migrate(&self, schema: &Schema) -> Result<()> {
        for collection in schema.collections() {
            let mut held = BTreeMap::new();
            for document in self.live(collection)? {
                for guard in Projection::of(&document).guards {
                    let attribute = guard.attribute();
                    if let Some(other) = held.insert(guard, document.key.clone()) {
                        let (one, other) = (other.id(), document.key.id());
                        return Err(Error::not_unique(collection, attribute, one, other));
                    }
                }
            }
        }
        Ok(())
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>> {
        self.pause().await;
        let documents = self.documents();
        Ok(documents.get(key).filter(|document| !document.is_expired(self.ambient.now())).cloned())
    }

    async fn get_many(&self, keys: &[Key], _consistency: Consistency) -> Result<Vec<Option<Document>>> {
        paging::check_keys(keys)?;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.push(self.get(key).await?);
        }
        Ok(found)
    }

    async fn lookup(&self, unique: &UniqueKey) -> Result<Option<Document>> {
        self.pause().await;
        owner(&self.documents(), unique, self.ambient.now())
    }

    async fn query(&self, query: &Query) -> Result<Page> {
        paging::query(self, query).await
    }

    async fn search(&self, search: &Search) -> Result<Page> {
        paging::search(self, search).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        paging::scan(self, scan).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Version>> {
        self.pause().await;
        let mut documents = self.documents();
        let now = self.ambient.now();
        evaluate(batch, &state_of(batch, &documents, now)?, now)?;
        batch.operations().iter().for_each(|prepared| apply(prepared, &mut documents));
        Ok(batch.versions())
    }

    async fn add(&self, addition: &Addition) -> Result<i64> {
        self.pause().await;
        let mut documents = self.documents();
        let now = self.ambient.now();
        let current = documents.get(addition.key()).filter(|document| !document.is_expired(now)).cloned();
        let (batch, tally) = addition.applied_to(current)?;
        batch.operations().iter().for_each(|prepared| apply(prepared, &mut documents));
        Ok(tally)
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        let now = self.ambient.now();
        let mut documents = self.documents();
        let expired: Vec<Key> = documents
            .values()
            .filter(|document| document.is_expired(now))
            .map(|document| document.key.clone())
            .take(at_most as usize)
            .collect();
        expired.iter().for_each(|key| drop(documents.remove(key)));
        Ok(expired.len() as u64)
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Ranges for Memory {
    async fn read_range(&self, range: &Range, at_most: usize) -> Result<Vec<Entry>> {
        self.pause().await;
        let mut entries = Vec::new();
        for document in self.live(range.collection)? {
            for position in positions(range, &document) {
                let below = range.to.as_ref().is_none_or(|to| position < *to);
                if position >= range.from && below {
                    let is_refused = range.refuses(&copied_fields(range, &document));
                    entries.push(Entry { position, document: (!is_refused).then(|| document.clone()) });
                }
            }
        }
        entries.sort_by(|a, b| a.position.cmp(&b.position));
        if range.descending {
            entries.reverse();
        }
        entries.truncate(at_most);
        Ok(entries)
    }

    async fn read_collection(
        &self,
        collection: &'static Collection,
        after: Option<&str>,
        at_most: usize,
    ) -> Result<Vec<Document>> {
        self.pause().await;
        let behind = |document: &Document| after.is_none_or(|after| document.key.id() > after);
        Ok(self.live(collection)?.into_iter().filter(behind).take(at_most).collect())
    }
}

/// The fields that the index of a range copies on DynamoDB.
fn copied_fields(range: &Range, document: &Document) -> Body {
    let Source::Index { index, .. } = &range.source else { return Body::new() };
    let copied = index.copied_fields().iter();
    copied.filter_map(|field| Some(((*field).to_owned(), document.body.get(*field)?.clone()))).collect()
}

/// The positions of a document in the source of a range.
fn positions(range: &Range, document: &Document) -> Vec<Vec<u8>> {
    let projection = Projection::of(document);
    match &range.source {
        Source::Index { index, partition } => projection
            .entries
            .into_iter()
            .flatten()
            .filter(|entry| entry.index.name == index.name && entry.partition == *partition)
            .map(|entry| entry.position)
            .collect(),
        Source::Terms { prefix } => projection
            .terms
            .iter()
            .filter(|term| term.starts_with(prefix))
            .map(|term| term_position(term, document.key.id()))
            .collect(),
    }
}
