//! A database whose calls are listed and can be delayed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use switchyard_database::{
    Addition, Batch, Consistency, Database, Document, Key, Page, Query, Result, Scan, Schema, Search,
    UniqueKey, Version,
};

/// A database that lists the calls which name each collection, and answers them late when it is told to.
#[derive(Debug)]
pub struct Watched {
    database: Arc<dyn Database>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: HashMap<&'static str, Vec<&'static str>>,
    delays: HashMap<String, Duration>,
}

impl Watched {
    /// A database that delays nothing yet.
    pub fn new(database: Arc<dyn Database>) -> Self {
        Self { database, state: Mutex::default() }
    }

    /// From now on, answers calls that name `collection` after this time.
    pub fn delay(&self, collection: &str, time: Duration) {
        self.state().delays.insert(collection.to_owned(), time);
    }

    /// The names of the calls that have named `collection` since this was asked for the last time.
    pub fn take_calls(&self, collection: &str) -> Vec<&'static str> {
        self.state().calls.remove(collection).unwrap_or_default()
    }

    async fn watch(&self, call: &'static str, collections: impl IntoIterator<Item = &'static str>) {
        let mut longest = Duration::ZERO;
        for collection in collections {
            let mut state = self.state();
            state.calls.entry(collection).or_default().push(call);
            longest = longest.max(state.delays.get(collection).copied().unwrap_or_default());
        }
        if !longest.is_zero() {
            tokio::time::sleep(longest).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name_of(key: &Key) -> &'static str {
    key.collection().name
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Database for Watched {
    async fn migrate(&self, schema: &Schema) -> Result<()> {
        self.database.migrate(schema).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>> {
        self.watch("get", [name_of(key)]).await;
        self.database.get(key).await
    }

    async fn get_many(&self, keys: &[Key], consistency: Consistency) -> Result<Vec<Option<Document>>> {
        self.watch("get_many", keys.iter().map(name_of).collect::<Vec<_>>()).await;
        self.database.get_many(keys, consistency).await
    }

    async fn lookup(&self, unique: &UniqueKey) -> Result<Option<Document>> {
        self.watch("lookup", [unique.collection().name]).await;
        self.database.lookup(unique).await
    }

    async fn query(&self, query: &Query) -> Result<Page> {
        self.watch("query", [query.collection.name]).await;
        self.database.query(query).await
    }

    async fn search(&self, search: &Search) -> Result<Page> {
        self.watch("search", [search.collection.name]).await;
        self.database.search(search).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.watch("scan", [scan.collection.name]).await;
        self.database.scan(scan).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Version>> {
        let names = batch.operations().iter().map(|prepared| name_of(prepared.key()));
        self.watch("commit", names.collect::<Vec<_>>()).await;
        self.database.commit(batch).await
    }

    async fn add(&self, addition: &Addition) -> Result<i64> {
        self.watch("add", [name_of(addition.key())]).await;
        self.database.add(addition).await
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        self.database.sweep_expired(at_most).await
    }

    async fn ping(&self) -> Result<()> {
        self.database.ping().await
    }
}
