use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use switchyard_ambient::{Ambient, ManualClock, SystemRandomness, Timestamp};

use super::Subject;
use super::words::{create, create_until, delete, ids, key, pages_of, replace};
use crate::{
    Batch, Cause, Collection, Database, Db, Document, Error, Key, Operation, Query, Result, Scalar, Scan,
    Schema, Search, UniqueKey, Version,
};

/// 2100-01-01T00:00:00Z.
const START: Timestamp = Timestamp::from_seconds(4_102_444_800);

/// More pages than any case has.
const MOST_PAGES: usize = 500;

/// A handle to the store on which a case runs, with helper methods for the cases.
#[derive(Clone)]
pub struct Store {
    subject: Arc<dyn Subject>,
    /// The clock of every handle of this case.
    pub clock: ManualClock,
    /// The database with its typed layer.
    pub db: Db,
}

impl Store {
    pub(super) async fn open(subject: Arc<dyn Subject>) -> Self {
        let clock = ManualClock::at(START);
        let ambient = Ambient::new(clock.clone(), SystemRandomness);
        let backend = subject.open(ambient.clone()).await;
        Self { subject, clock, db: Db::new(backend, ambient) }
    }

    /// Another instance: a handle to the same store with its own connections.
    pub async fn another(&self) -> Self {
        let backend = self.subject.open(self.ambient().clone()).await;
        Self { db: Db::new(backend, self.ambient().clone()), ..self.clone() }
    }

    /// The backend.
    pub fn backend(&self) -> &dyn Database {
        self.db.backend()
    }

    /// The clock and the randomness of every handle of this case.
    pub fn ambient(&self) -> &Ambient {
        self.db.ambient()
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.ambient().now()
    }

    /// Migrates the store to these collections.
    pub async fn migrate(&self, collections: &[&'static Collection]) {
        self.try_migrate(collections).await.expect("the collections are migrated");
    }

    /// Migrates the store to these collections, and returns the result.
    pub async fn try_migrate(&self, collections: &[&'static Collection]) -> Result<()> {
        self.backend().migrate(&Schema::new(collections.iter().copied())?).await
    }

    // --- writing ---------------------------------------------------------------------------------------------------

    /// Commits operations.
    pub async fn commit(&self, operations: Vec<Operation>) -> Result<Vec<Version>> {
        self.db.commit(operations).await
    }

    /// Commits operations, and retries retryable errors for up to 30 seconds.
    pub async fn commit_patiently(&self, operations: Vec<Operation>) -> Result<Vec<Version>> {
        let batch = Batch::new(operations, self.ambient())?;
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.backend().commit(&batch).await {
                Err(error) if error.is_retryable() && Instant::now() < deadline => {
                    tokio::time::sleep(self.ambient().jitter(Duration::from_millis(20))).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Stores a document, which must not exist yet.
    pub async fn create(&self, collection: &'static Collection, id: &str, body: Value) -> Document {
        self.create_until(collection, id, body, None).await
    }

    /// Stores a document with an expiry time, which must not exist yet.
    pub async fn create_until(
        &self,
        collection: &'static Collection,
        id: &str,
        body: Value,
        expires_at: impl Into<Option<Timestamp>>,
    ) -> Document {
        let operation = create_until(collection, id, body, expires_at);
        let versions = self.commit(vec![operation]).await.expect("the document is created");
        let stored = self.get(collection, id).await.expect("the document exists");
        assert_eq!(versions, [stored.version], "`commit` must return the stored version");
        stored
    }

    /// Stores new content for a document.
    pub async fn replace(&self, previous: &Document, body: Value) -> Document {
        let operation = replace(previous, body);
        let versions = self.commit(vec![operation]).await.expect("the document is replaced");
        let key = &previous.key;
        let stored = self.get(key.collection(), key.id()).await.expect("the document exists");
        assert_eq!(versions, [stored.version], "`commit` must return the stored version");
        stored
    }

    /// Removes a document.
    pub async fn delete(&self, previous: &Document) {
        let versions = self.commit(vec![delete(previous)]).await.expect("the document is deleted");
        assert_eq!(versions, [Version::NONE]);
    }

    /// Stores many documents, in as few batches as their guards and terms allow.
    pub async fn fill(
        &self,
        collection: &'static Collection,
        documents: impl IntoIterator<Item = (String, Value)>,
    ) {
        let operations =
            documents.into_iter().map(|(id, body)| create(collection, &id, body)).collect::<Vec<_>>();
        let mut rest = &operations[..];
        let mut take = 100;
        while !rest.is_empty() {
            take = take.min(rest.len());
            match Batch::new(rest[..take].to_vec(), self.ambient()) {
                Ok(batch) => {
                    self.backend().commit(&batch).await.expect("the documents are created");
                    rest = &rest[take..];
                }
                Err(Error::Limit(_)) if take > 1 => take /= 2,
                Err(error) => panic!("a batch of new documents was refused: {error}"),
            }
        }
    }

    /// Commits operations that must be rejected. Returns the index and the cause of the lowest rejected one.
    pub async fn rejection(&self, operations: Vec<Operation>) -> (usize, Cause) {
        let keys: Vec<Key> = operations.iter().map(|operation| operation.key().clone()).collect();
        let error = self.commit(operations).await.expect_err("the batch is rejected");
        let Error::Rejected(rejections) = &error else {
            panic!("the batch must be rejected, not fail with {error:?}")
        };
        let first = rejections.first().expect("a rejected batch names an operation");
        assert_eq!(first.key, keys[first.operation], "the rejection must name the operation's document");
        let lowest = rejections.iter().map(|rejection| rejection.operation).min();
        assert_eq!(lowest, Some(first.operation), "the lowest rejected operation must come first");
        (first.operation, first.cause)
    }

    // --- reading by key, asserted at once --------------------------------------------------------------------------

    /// Returns the document `id`.
    pub async fn get(&self, collection: &'static Collection, id: &str) -> Option<Document> {
        self.backend().get(&key(collection, id)).await.expect("the document is read")
    }

    /// Returns the document that holds `value` as its unique `attribute`.
    pub async fn lookup(
        &self,
        collection: &'static Collection,
        attribute: &str,
        value: impl Into<Scalar>,
    ) -> Option<Document> {
        let unique = UniqueKey::new(collection, attribute, [value]).expect("the attribute is declared");
        self.backend().lookup(&unique).await.expect("the document is looked up")
    }

    /// Returns the id of the document that holds `value` as its unique `attribute`.
    pub async fn holder(
        &self,
        collection: &'static Collection,
        attribute: &str,
        value: impl Into<Scalar>,
    ) -> Option<String> {
        self.lookup(collection, attribute, value).await.map(|document| document.key.id().to_owned())
    }

    // --- reading through indexes, which may lag --------------------------------------------------------------------

    /// Calls `read` until it returns `expected`.
    ///
    /// # Panics
    ///
    /// Panics if it returns something else for longer than an index may lag.
    pub async fn eventually<T, F>(&self, expected: T, read: impl Fn() -> F)
    where
        T: PartialEq + Debug,
        F: Future<Output = T>,
    {
        let deadline = Instant::now() + self.subject.patience();
        loop {
            let found = read().await;
            if found == expected {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "after {:?}\n   found: {found:?}\nexpected: {expected:?}",
                self.subject.patience()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Expects that the result of a query is one page with exactly the documents `ids`.
    pub async fn expect_query(&self, query: &Query, ids: &[&str]) {
        self.eventually(pages_of(&[ids]), || self.query_pages(query)).await;
    }

    /// Expects that the result of a search is one page with exactly the documents `ids`.
    pub async fn expect_search(&self, search: &Search, ids: &[&str]) {
        self.eventually(pages_of(&[ids]), || self.search_pages(search)).await;
    }

    /// Reads all pages of a query, and returns their ids.
    pub async fn query_pages(&self, query: &Query) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut query = query.clone();
        loop {
            let page = self.backend().query(&query).await.expect("the query succeeds");
            pages.push(ids(&page.documents));
            assert!(pages.len() < MOST_PAGES, "the pages do not end");
            query.cursor = Some(match page.next {
                Some(next) => next,
                None => return pages,
            });
        }
    }

    /// Reads all pages of a search, and returns their ids.
    pub async fn search_pages(&self, search: &Search) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut search = search.clone();
        loop {
            let page = self.backend().search(&search).await.expect("the search succeeds");
            pages.push(ids(&page.documents));
            assert!(pages.len() < MOST_PAGES, "the pages do not end");
            search.cursor = Some(match page.next {
                Some(next) => next,
                None => return pages,
            });
        }
    }

    /// Reads all pages of a scan.
    pub async fn scan_pages(&self, scan: &Scan) -> Vec<Vec<Document>> {
        let mut pages = Vec::new();
        let mut scan = scan.clone();
        loop {
            let page = self.backend().scan(&scan).await.expect("the scan succeeds");
            pages.push(page.documents);
            assert!(pages.len() < MOST_PAGES, "the pages do not end");
            scan.cursor = Some(match page.next {
                Some(next) => next,
                None => return pages,
            });
        }
    }
}
