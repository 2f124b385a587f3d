//! An implementation of the [`Database`] contract on Amazon DynamoDB.
//!
//! ```no_run
//! use switchyard_ambient::Ambient;
//! use switchyard_database::{Collection, Database, Key};
//! use switchyard_dynamodb::DynamoDb;
//!
//! const NOTES: &Collection = &Collection::new("notes");
//!
//! # async fn example() -> switchyard_database::Result<()> {
//! // Reads from the table `shop-notes`. The region and the credentials come from the environment.
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
//! | `<prefix>-<collection>` | a document | `id`, `version`, `doc` (the content as a map), `doc.<field>` for each field that an index copies and for the tally, `<index>_partition` and `<index>_position` for each index that contains it; `expires_at`, `ttl` if it expires |
//! | `<prefix>-system` | the guard of a unique value | `partition` (the guarded value), `owner` (the id of the document that holds the value), `about` (a description for people), `expires_at`, `ttl` |
//! | | a search term of a document | `partition` (the collection, the term's first character and a shard), `position` (term and id), `owner`, `about`, `expires_at`, `ttl` |
//! | | a record of `migrate` | the declaration under which a collection's documents are indexed |
//!
//! Every declared index is a global secondary index. If an index has several shards, the documents of each of its
//! partitions are spread over them by a hash of the id, and the shards are merged when the index is read. [`tables()`] returns all table definitions.
//!
//! # What a commit costs
//!
//! An addition to a tally is one `UpdateItem`, and a second request only if the document has expired.
//!
//! A write of one document whose unique values and search terms do not change is one conditional write. Every
//! other write is one `TransactWriteItems`, which costs twice as much as the plain writes. A batch that only
//! checks is one `TransactGetItems`. A rejection by DynamoDB includes the stored items, so that finding its cause
//! needs no second request.
//!
//! # When a reply is lost
//!
//! A transaction is sent again with the same token, and DynamoDB applies it once. A plain replace or delete is
//! sent again, because the version that it requires never comes back. A plain create or increment is not sent
//! again, because it could be applied twice: the document is read instead, and if it does not have the version
//! that was chosen for it, the outcome is unknown. The retries of the SDK are disabled.
//!
//! # When DynamoDB is throttling or does not answer
//!
//! A call sends at most five requests that are not accepted, within the budget and the deadline of
//! [`retry`](switchyard_database::retry). A write that conflicts with another transaction is sent again more often.
//! Before that, the documents and guards that it names are read, without conflicting with anyone: if they already
//! refuse the write, its caller is told at once.
//!
//! # Migrations
//!
//! Deploy first, then migrate, and migrate to one declaration at a time. Documents that a program with older
//! declarations writes after the migration lack the new parts: their index entries are missing until the document
//! is replaced, and their guards or search terms are missing until a write changes that value or the expiry of the
//! document. Migrating again does not add them, because the record says that the migration is complete.
//!
//! A migration goes through a collection twice: the first pass only adds, the second pass removes what is no
//! longer declared. A migration that is refused or interrupted during the first pass has therefore removed nothing
//! that programs with the older declaration still use. Several instances may run the same migration at once. If
//! two instances run different migrations, the first one is abandoned and fails with
//! [`Contended`](switchyard_database::Error::Contended); the documents that it was changing at that moment may
//! keep what it added.
//!
//! Tables that a deployment template creates are used as they are; point-in-time recovery and deletion protection
//! are configured in the template.
//!
//! # Expiry
//!
//! DynamoDB removes expired items itself within a few days, at no charge, and reads ignore them until then. A program
//! need not call `sweep_expired`, which scans the tables: an index of what expires would cost each write of such a
//! document as much as the write itself. The sweep reads the records of `migrate`.
//!
//! # Permissions
//!
//! On the table of a collection, a program needs
//!
//! | to | actions |
//! |---|---|
//! | read, and to write at all | `GetItem`, `BatchGetItem`, `ConditionCheckItem` |
//! | list | `Query` on the index ([`index_name`]), and those to read on the table |
//! | scan | `Scan` |
//! | create, replace | `PutItem` |
//! | delete | `DeleteItem` |
//! | increment | `UpdateItem` |
//! | add | `UpdateItem`, `PutItem` |
//!
//! On the system table it needs `GetItem`; `Query` to search; `PutItem` and `DeleteItem` to write documents of a collection
//! with unique attributes or search fields. Transactions need no permission of their own.

mod add;
mod client;
mod commit;
mod failure;
mod item;
mod migrate;
mod read;
mod repeat;
mod sweep;
mod tables;
mod value;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use switchyard_ambient::Ambient;
use switchyard_database::retry::Budget;
use switchyard_database::{
    Addition, Batch, Collection, Consistency, Database, Document, Key, Page, Query, Result, Scan, Schema,
    Search, UniqueKey, Version, paging,
};

pub use tables::{
    AttributeKind, IndexDefinition, IndexProjection, KeyAttribute, TableDefinition, index_name, tables,
};

/// A [`Database`] on Amazon DynamoDB, with one table for each collection and one system table for guards, search
/// terms and migration records. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct DynamoDb {
    client: Client,
    prefix: String,
    ambient: Ambient,
    /// Clones share it, so that it bounds the retries of a whole program.
    budget: Arc<Budget>,
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

    async fn get_many(&self, keys: &[Key], consistency: Consistency) -> Result<Vec<Option<Document>>> {
        read::get_many(self, keys, consistency).await
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

    async fn add(&self, addition: &Addition) -> Result<i64> {
        add::add(self, addition).await
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        sweep::sweep_expired(self, at_most).await
    }

    async fn ping(&self) -> Result<()> {
        read::ping(self).await
    }
}
