//! The [`Database`] contract on Amazon DynamoDB.
//!
//! ```no_run
//! use switchyard_ambient::Ambient;
//! use switchyard_database::{Collection, Database, Key};
//! use switchyard_dynamodb::DynamoDb;
//!
//! const NOTES: &Collection = &Collection::new("notes");
//!
//! # async fn example() -> switchyard_database::Result<()> {
//! // The table `shop-notes`, in the region and with the credentials of the environment.
//! let db = DynamoDb::connect("shop", Ambient::system()).await?;
//! let note = db.get(&Key::new(NOTES, "n-1")?).await?;
//! # drop(note);
//! # Ok(())
//! # }
//! ```
//!
//! # What is stored
//!
//! | table | item | attributes |
//! |---|---|---|
//! | `<prefix>-<collection>` | a document | `id`, `version`, `doc` (the content as a map), `<index>_partition` and `<index>_position` for each index that it is in; `expires_at`, `ttl`, `expiry_shard` where it expires |
//! | `<prefix>-system` | the guard of a unique value | `partition` (what is guarded), `owner` (the id of the document that holds the value), `about` (for people), `expires_at`, `ttl` |
//! | | a search term of a document | `partition` (the collection and the term's first character), `position` (term and id), `owner`, `about`, `expires_at`, `ttl` |
//! | | a record of `migrate` | the declaration under which a collection's documents are indexed |
//!
//! Every declared index is a global secondary index; one without partition fields is spread over shards by a hash of the
//! id and merged when it is read. [`tables()`] says all of it in one place.
//!
//! # What a commit costs
//!
//! One document whose unique values and search terms stay is one conditional write. Everything else is one
//! `TransactWriteItems`, at twice the price of its writes; a batch that only checks is one `TransactGetItems`. A refusal
//! carries the items as they are stored, so that its cause needs no second request.
//!
//! # When a reply is lost
//!
//! A transaction is sent again under its token, which DynamoDB applies once. A plain replace or delete is sent again:
//! the version that it needs never comes back. A plain create or increment is not, because it could be applied twice: the
//! document is read, and when it has not the version that was fixed for it, the outcome is unknown. The SDK's own
//! retries are off.
//!
//! # Migrations
//!
//! Deploy first, then migrate, and to one declaration at a time. What a program with older declarations writes afterwards
//! lacks what is new: its place in an index until the document is replaced, its guard or search term until a write changes
//! that value or the document's expiry. Migrating again does not help, because the record says that everything is there.
//!
//! A change goes through a collection twice: first it only adds, then it clears away what is declared no more. So one that
//! is refused or interrupted while it adds has taken nothing from programs that go on under the older declaration. Instances
//! may make the same change at once. Of two that make different ones the first is given up, and ends with
//! [`Contended`](switchyard_database::Error::Contended); the documents that it was just working on may keep what they were
//! given.
//!
//! Tables that a deployment template makes are taken as they are found; point-in-time recovery and deletion protection are
//! the template's. A sweep of expired documents goes by the records of `migrate`; without them DynamoDB's own expiry
//! removes everything within some days.
//!
//! # Permissions
//!
//! A function needs `GetItem`, `BatchGetItem`, `Query`, `Scan` (for `scan` alone), `PutItem`, `UpdateItem`, `DeleteItem`
//! and `ConditionCheckItem` on its collections' tables and on the system table, and `Query` on their indexes;
//! transactions need no permission of their own.

mod client;
mod commit;
mod failure;
mod http;
mod item;
mod migrate;
mod read;
mod repeat;
mod settings;
mod sweep;
mod tables;
mod value;
mod write;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use switchyard_ambient::Ambient;
use switchyard_database::{
    Batch, Collection, Database, Document, Key, Page, Query, Result, Scan, Schema, Search, UniqueKey,
    Version, paging,
};

pub use tables::{AttributeKind, IndexDefinition, IndexProjection, KeyAttribute, TableDefinition, tables};

/// Documents in Amazon DynamoDB: a table for each collection, and one for all that stands beside the documents. Cheap to
/// clone: clones share their connections.
#[derive(Clone, Debug)]
pub struct DynamoDb {
    client: Client,
    prefix: String,
    ambient: Ambient,
}

impl DynamoDb {
    fn table(&self, collection: &Collection) -> String {
        tables::collection_table_name(&self.prefix, collection)
    }

    fn system_table(&self) -> String {
        tables::system_table_name(&self.prefix)
    }
}

#[async_trait]
impl Database for DynamoDb {
    async fn migrate(&self, schema: &Schema) -> Result<()> {
        migrate::migrate(self, schema).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>> {
        read::get(self, key).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Document>>> {
        read::get_many(self, keys).await
    }

    async fn lookup(&self, unique: &UniqueKey) -> Result<Option<Document>> {
        read::lookup(self, unique).await
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
        commit::commit(self, batch).await?;
        Ok(batch.versions())
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        sweep::sweep_expired(self, at_most).await
    }

    async fn ping(&self) -> Result<()> {
        read::ping(self).await
    }
}
