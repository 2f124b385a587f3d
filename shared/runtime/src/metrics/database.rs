use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use switchyard_database::{
    Addition, Batch, Consistency, Database, Document, Error, Key, Page, Query, Result, Scan, Schema, Search,
    UniqueKey, Version,
};

use super::prometheus::Process;

/// A database whose calls are timed.
#[derive(Debug)]
pub(super) struct Timed {
    inner: Arc<dyn Database>,
    process: Arc<Process>,
}

impl Timed {
    pub(super) fn new(inner: Arc<dyn Database>, process: Arc<Process>) -> Self {
        Self { inner, process }
    }

    async fn time<T>(&self, call: &str, running: impl Future<Output = Result<T>>) -> Result<T> {
        let started = Instant::now();
        let result = running.await;
        self.process.observe_call(call, outcome(&result), started.elapsed().as_secs_f64());
        result
    }
}

/// The outcome of a call, as a label. A rejected batch is an outcome of its own, not an error.
fn outcome<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) | Err(Error::BadCursor) => "ok",
        Err(Error::Rejected(_)) => "rejected",
        Err(Error::Contended) => "contended",
        Err(Error::Throttled { .. }) => "throttled",
        Err(Error::Unavailable(_)) => "unavailable",
        Err(Error::OutcomeUnknown(_)) => "unknown",
        Err(Error::Limit(_) | Error::Invalid(_) | Error::Corrupt(_) | Error::Internal(_)) => "error",
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Database for Timed {
    async fn migrate(&self, schema: &Schema) -> Result<()> {
        self.time("migrate", self.inner.migrate(schema)).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>> {
        self.time("get", self.inner.get(key)).await
    }

    async fn get_many(&self, keys: &[Key], consistency: Consistency) -> Result<Vec<Option<Document>>> {
        self.time("get_many", self.inner.get_many(keys, consistency)).await
    }

    async fn lookup(&self, unique: &UniqueKey) -> Result<Option<Document>> {
        self.time("lookup", self.inner.lookup(unique)).await
    }

    async fn query(&self, query: &Query) -> Result<Page> {
        self.time("query", self.inner.query(query)).await
    }

    async fn search(&self, search: &Search) -> Result<Page> {
        self.time("search", self.inner.search(search)).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.time("scan", self.inner.scan(scan)).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Version>> {
        self.time("commit", self.inner.commit(batch)).await
    }

    async fn add(&self, addition: &Addition) -> Result<i64> {
        self.time("add", self.inner.add(addition)).await
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        self.time("sweep_expired", self.inner.sweep_expired(at_most)).await
    }

    async fn ping(&self) -> Result<()> {
        self.time("ping", self.inner.ping()).await
    }
}
