use std::fmt::Debug;

use async_trait::async_trait;

use crate::{Addition, Batch, Document, Key, Page, Query, Result, Scan, Schema, Search, UniqueKey, Version};

/// Which state a read sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Every commit that completed before the call.
    Linearizable,
    /// Some state of each document that may lag behind, usually by less than a second. Costs half as much on
    /// DynamoDB, and is the same as `Linearizable` on the other databases.
    Eventual,
}

/// A document store. Every backend keeps the promises of each method in the same way; the conformance suite tests
/// this.
///
/// Use it through [`Db`](crate::Db), which adds types and transactions.
///
/// A backend repeats a request itself if the database did not accept it or if it conflicted with another writer
/// ([`retry`](crate::retry)). [`Contended`](crate::Error::Contended), [`Throttled`](crate::Error::Throttled) and
/// [`Unavailable`](crate::Error::Unavailable) mean that it has given up, and no layer above retries them.
#[async_trait]
pub trait Database: Debug + Send + Sync + 'static {
    /// Changes the stored tables to match the declared collections.
    ///
    /// - **Behaviour**: idempotent. New indexes, unique attributes and search fields are filled from the stored
    ///   documents, whose versions stay the same. Documents are never dropped, and neither is a table that is no
    ///   longer declared. Can be interrupted and called again.
    /// - **Errors**: [`Invalid`](crate::Error::Invalid) if two documents have the same value of a new unique
    ///   attribute; the previous declarations stay in force. [`Contended`](crate::Error::Contended) if others
    ///   migrate or write at the same time; call again.
    async fn migrate(&self, schema: &Schema) -> Result<()>;

    /// Reads one document.
    ///
    /// - **Consistency**: linearizable: sees every commit that completed before the call.
    async fn get(&self, key: &Key) -> Result<Option<Document>>;

    /// Reads up to [`MAX_KEYS`](crate::limits::MAX_KEYS) documents.
    ///
    /// - **Behaviour**: the result has the length and the order of `keys`. An absent document is `None`. If a key
    ///   is given twice, its document is returned twice.
    /// - **Consistency**: each document is read as `consistency` says; together they are not one snapshot.
    ///   [`Eventual`](Consistency::Eventual) suits documents that a lagging list shows, but never a document that
    ///   is then changed or sent with an `ETag`.
    async fn get_many(&self, keys: &[Key], consistency: Consistency) -> Result<Vec<Option<Document>>>;

    /// Reads the document that holds a value of a unique attribute.
    ///
    /// - **Behaviour**: makes the same number of database calls if no document holds the value, so that the
    ///   response time does not reveal which values are held.
    /// - **Consistency**: linearizable.
    async fn lookup(&self, unique: &UniqueKey) -> Result<Option<Document>>;

    /// Lists documents along an index.
    ///
    /// - **Behaviour**: ordered by (sort values, id), both reversed if the query is descending. A page has exactly
    ///   `limit` documents unless the result ends. With filters it may have fewer once
    ///   [`MAX_EXAMINED`](crate::limits::MAX_EXAMINED) entries have been examined. `next` is `None` exactly if the
    ///   result has ended.
    /// - **Errors**: [`BadCursor`](crate::Error::BadCursor) for a cursor that was altered or belongs to another
    ///   query.
    /// - **Consistency**: may lag behind writes. Each document carries the version in which it was read.
    async fn query(&self, query: &Query) -> Result<Page>;

    /// Finds documents by their words.
    ///
    /// - **Behaviour**, **errors** and **consistency**: as for `query`; see [`Search`] for what is found and in
    ///   which order.
    async fn search(&self, search: &Search) -> Result<Page>;

    /// Reads a whole collection.
    ///
    /// - **Behaviour**: every document that exists during the whole scan is returned exactly once, in no
    ///   particular order. For export, copying and backfills, never for a request.
    async fn scan(&self, scan: &Scan) -> Result<Page>;

    /// Applies a batch atomically, and returns the version of each operation's document ([`Version::NONE`] for
    /// `Delete` and `Check`).
    ///
    /// - **Consistency**: strictly serializable on the keys that the batch names, absent ones included.
    /// - **Errors**: [`Rejected`](crate::Error::Rejected) if operations conflict with the stored state; the
    ///   rejection of the lowest one comes first. After [`OutcomeUnknown`](crate::Error::OutcomeUnknown) the batch
    ///   was applied completely or not at all. After any other error it was not applied.
    /// - **Cancellation**: the batch was applied completely or not at all.
    async fn commit(&self, batch: &Batch) -> Result<Vec<Version>>;

    /// Adds to the tally of a document, which is created if it is absent, and returns the tally afterwards. Costs one
    /// request to the database.
    ///
    /// - **Behaviour**: a document that exists keeps its other fields, and expires when `addition` says.
    /// - **Consistency**: linearizable: of concurrent additions each one gets its own sum.
    /// - **Errors**: [`Rejected`](crate::Error::Rejected) if the tally would leave the range of i64. After
    ///   [`OutcomeUnknown`](crate::Error::OutcomeUnknown) the addition was applied or not; an addition is never applied
    ///   twice. After any other error it was not applied.
    /// - **Cancellation**: the addition was applied or not.
    async fn add(&self, addition: &Addition) -> Result<i64>;

    /// Removes up to `at_most` expired documents with their index entries, guards and terms, and returns the
    /// number of removed documents.
    ///
    /// - **Behaviour**: changes nothing that a read can see. A document that is created again in the meantime is
    ///   kept.
    async fn sweep_expired(&self, at_most: u32) -> Result<u64>;

    /// Checks that the database responds.
    async fn ping(&self) -> Result<()>;
}
