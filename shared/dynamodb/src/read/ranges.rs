//! The ordered reads from which [`paging`](switchyard_database::paging) builds pages.

use async_trait::async_trait;
use switchyard_database::paging::{Entry, Range, Ranges, Source};
use switchyard_database::{Collection, Document, Result};

use crate::DynamoDb;
use crate::item::document_of;
use crate::read::{index, terms};
use crate::tables::document;
use crate::value::{Item, text};

#[async_trait]
impl Ranges for DynamoDb {
    async fn read_range(&self, range: &Range, at_most: usize) -> Result<Vec<Entry>> {
        match &range.source {
            Source::Index { index, partition } => index::read(self, range, index, partition, at_most).await,
            Source::Terms { prefix } => terms::read(self, range, prefix, at_most).await,
        }
    }

    /// Returns documents in the order of the hashes of their ids, which is DynamoDB's own order. A scan may start
    /// after any id, whether stored or not.
    async fn read_collection(
        &self,
        collection: &'static Collection,
        after: Option<&str>,
        at_most: usize,
    ) -> Result<Vec<Document>> {
        let now = self.ambient.now();
        let mut start = after.map(|id| Item::from([(document::ID.to_owned(), text(id))]));
        let mut documents = Vec::new();
        while documents.len() < at_most {
            let limit = i32::try_from(at_most - documents.len()).unwrap_or(i32::MAX);
            let request = self.client.scan().table_name(self.table(collection)).consistent_read(true);
            let request = request.limit(limit).set_exclusive_start_key(start);
            let answer = self.read(|| request.clone().send()).await?;
            for item in answer.items.unwrap_or_default() {
                let document = document_of(collection, item)?;
                if !document.is_expired(now) {
                    documents.push(document);
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(documents)
    }
}
