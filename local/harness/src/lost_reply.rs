//! A database that loses the reply to a commit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use switchyard_database::{
    Addition, Batch, Consistency, Database, Document, Error, Key, Page, Query, Result, Scan, Schema, Search,
    UniqueKey, Version,
};

/// A database that loses the reply to one commit when it is told to: the commit is applied, and the caller learns that its
/// outcome is unknown.
#[derive(Debug)]
pub struct LosingReplies {
    database: Arc<dyn Database>,
    /// The reply to the next commit that writes to this collection is lost.
    collection: Mutex<Option<String>>,
}

impl LosingReplies {
    /// A database that loses no reply yet.
    pub fn new(database: Arc<dyn Database>) -> Self {
        Self { database, collection: Mutex::default() }
    }

    /// Loses the reply to the next commit that writes to `collection`.
    pub fn lose_next(&self, collection: &str) {
        *self.awaited() = Some(collection.to_owned());
    }

    /// Loses no further reply. Returns whether the awaited one was lost.
    pub fn stop(&self) -> bool {
        self.awaited().take().is_none()
    }

    fn awaited(&self) -> MutexGuard<'_, Option<String>> {
        self.collection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_awaited(&self, batch: &Batch) -> bool {
        let awaited = self.awaited();
        awaited.as_deref().is_some_and(|awaited| {
            batch.operations().iter().any(|operation| operation.key().collection().name == awaited)
        })
    }
}

#[async_trait]
impl Database for LosingReplies {
    async fn migrate(&self, schema: &Schema) -> Result<()> {
        self.database.migrate(schema).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>> {
        self.database.get(key).await
    }

    async fn get_many(&self, keys: &[Key], consistency: Consistency) -> Result<Vec<Option<Document>>> {
        self.database.get_many(keys, consistency).await
    }

    async fn lookup(&self, unique: &UniqueKey) -> Result<Option<Document>> {
        self.database.lookup(unique).await
    }

    async fn query(&self, query: &Query) -> Result<Page> {
        self.database.query(query).await
    }

    async fn search(&self, search: &Search) -> Result<Page> {
        self.database.search(search).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.database.scan(scan).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Version>> {
        let versions = self.database.commit(batch).await?;
        if self.is_awaited(batch) {
            self.awaited().take();
            return Err(Error::OutcomeUnknown("the test lost the reply".to_owned()));
        }
        Ok(versions)
    }

    async fn add(&self, addition: &Addition) -> Result<i64> {
        self.database.add(addition).await
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        self.database.sweep_expired(at_most).await
    }

    async fn ping(&self) -> Result<()> {
        self.database.ping().await
    }
}
