use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use switchyard_ambient::Ambient;

use super::Memory;
use crate::{
    Addition, Batch, Consistency, Database, Document, Key, Page, Query, Result, Scan, Schema, Search,
    UniqueKey, Version,
};

/// A store whose queries, searches, scans and eventual reads see a past state, as they may on a real database.
///
/// The suite runs on it to prove that its cases wait for listings. A program's tests can run on it to find code
/// that does not.
#[derive(Debug)]
pub struct Lagging {
    present: Memory,
    past: Memory,
    lag: Duration,
    copied_at: Mutex<Instant>,
}

impl Lagging {
    /// Another handle to the store of `present`, whose listings lag by up to `lag`.
    pub fn new(present: &Memory, ambient: Ambient, lag: Duration) -> Self {
        Self {
            present: present.with_ambient(ambient.clone()),
            past: Memory::new(ambient),
            lag,
            copied_at: Mutex::new(Instant::now()),
        }
    }

    /// The copy of the store that listings read, which is updated when it has become too old.
    fn past(&self) -> &Memory {
        let mut copied_at = self.copied_at.lock().unwrap_or_else(PoisonError::into_inner);
        if copied_at.elapsed() >= self.lag {
            let present = self.present.documents().clone();
            *self.past.documents() = present;
            *copied_at = Instant::now();
        }
        &self.past
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Database for Lagging {
    async fn migrate(&self, schema: &Schema) -> Result<()> {
        self.present.migrate(schema).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>> {
        self.present.get(key).await
    }

    async fn get_many(&self, keys: &[Key], consistency: Consistency) -> Result<Vec<Option<Document>>> {
        match consistency {
            Consistency::Linearizable => self.present.get_many(keys, consistency).await,
            Consistency::Eventual => self.past().get_many(keys, consistency).await,
        }
    }

    async fn lookup(&self, unique: &UniqueKey) -> Result<Option<Document>> {
        self.present.lookup(unique).await
    }

    async fn query(&self, query: &Query) -> Result<Page> {
        self.past().query(query).await
    }

    async fn search(&self, search: &Search) -> Result<Page> {
        self.past().search(search).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.past().scan(scan).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Version>> {
        self.present.commit(batch).await
    }

    async fn add(&self, addition: &Addition) -> Result<i64> {
        self.present.add(addition).await
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        self.present.sweep_expired(at_most).await
    }

    async fn ping(&self) -> Result<()> {
        self.present.ping().await
    }
}
