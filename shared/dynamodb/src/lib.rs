//! The [`Database`](switchyard_database::Database) contract on Amazon DynamoDB.

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

/// Documents in Amazon DynamoDB: a table for each collection, and one for all that stands beside the documents.
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
