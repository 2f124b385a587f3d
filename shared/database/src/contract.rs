use std::fmt::Debug;

use async_trait::async_trait;

use crate::{Batch, Document, Key, Page, Query, Result, Scan, Schema, Search, UniqueKey, Version};

/// A document store. What each method promises holds on every backend in the same way; the conformance suite pins it.
///
/// Use it through [`Db`](crate::Db), which adds types and transactions.
#[async_trait]
pub trait Database: Debug + Send + Sync + 'static {
    /// Brings the stored tables to the declared collections.
    ///
    /// - **Behaviour**: idempotent. An index, unique attribute or search field that is new is filled from the stored
    ///   documents, whose versions stay. Documents are never dropped; a table that is no longer declared stays. Can be
    ///   interrupted and called again.
    /// - **Errors**: [`Invalid`](crate::Error::Invalid) where a new unique attribute finds a value twice: what was declared
    ///   before goes on. [`Contended`](crate::Error::Contended) where others migrate or write at the same time; call again.
    async fn migrate(&self, schema: &Schema) -> Result<()>;

    /// Reads one document.
    ///
    /// - **Consistency**: linearizable: sees every commit that finished before the call.
    async fn get(&self, key: &Key) -> Result<Option<Document>>;

    /// Reads up to [`MAX_KEYS`](crate::limits::MAX_KEYS) documents.
    ///
    /// - **Behaviour**: the answer has the length and the order of `keys`; what is absent is `None`, a key that is given
    ///   twice is answered twice.
    /// - **Consistency**: each document as by `get`; not one snapshot.
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Document>>>;

    /// Reads the document that holds a value of a unique attribute.
    ///
    /// - **Behaviour**: asks the database as often for a value that nobody holds, so that the time of an answer does not
    ///   tell which values are held.
    /// - **Consistency**: linearizable.
    async fn lookup(&self, unique: &UniqueKey) -> Result<Option<Document>>;

    /// Lists documents along an index.
    ///
    /// - **Behaviour**: ordered by (sort values, id), both reversed when descending. A page holds exactly `limit`
    ///   documents unless the result ends; with filters it may hold fewer once
    ///   [`MAX_EXAMINED`](crate::limits::MAX_EXAMINED) were examined. `next` is `None` exactly when the result has
    ///   ended.
    /// - **Errors**: [`BadCursor`](crate::Error::BadCursor) for a cursor that is altered or belongs to another query.
    /// - **Consistency**: may lag behind writes; the documents carry the versions that they were seen in.
    async fn query(&self, query: &Query) -> Result<Page>;

    /// Finds documents by their words.
    ///
    /// - **Behaviour**, **errors** and **consistency**: as of `query`; see [`Search`] for what is found, and in which
    ///   order.
    async fn search(&self, search: &Search) -> Result<Page>;

    /// Reads a whole collection.
    ///
    /// - **Behaviour**: every document that is there throughout comes exactly once, in no particular order. For export,
    ///   copy and backfill, never for a request.
    async fn scan(&self, scan: &Scan) -> Result<Page>;

    /// Applies a batch, all or nothing, and answers with the version of each operation's document
    /// ([`Version::NONE`] for `Delete` and `Check`).
    ///
    /// - **Consistency**: strictly serializable on the keys that the batch names, absent ones included.
    /// - **Errors**: [`Rejected`](crate::Error::Rejected) with the lowest operation that does not fit first; after
    ///   [`OutcomeUnknown`](crate::Error::OutcomeUnknown) the batch was applied whole or not at all; after every other
    ///   error it was not applied.
    /// - **Cancellation**: the batch was applied whole or not at all.
    async fn commit(&self, batch: &Batch) -> Result<Vec<Version>>;

    /// Removes up to `at_most` documents that have expired, with what is stored beside them, and answers how many.
    ///
    /// - **Behaviour**: changes nothing that a read could see. A document that was written again meanwhile stays.
    async fn sweep_expired(&self, at_most: u32) -> Result<u64>;

    /// Asks whether the database answers.
    async fn ping(&self) -> Result<()>;
}
