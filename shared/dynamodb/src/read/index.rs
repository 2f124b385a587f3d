//! Reads ranges of an index with a query on one partition, or with queries on all shards whose results are merged
//! in order.

use std::collections::VecDeque;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use switchyard_database::limits::MAX_PARTITION_KEY_BYTES;
use switchyard_database::paging::{Entry, Range};
use switchyard_database::{Error, Index, Result};

use crate::DynamoDb;
use crate::item::{document_of, is_sharded};
use crate::tables::{index_name, partition_attribute, position_attribute};
use crate::value::{Item, bytes};

/// Returns the first `at_most` live entries of a range of an index.
pub(crate) async fn read(
    db: &DynamoDb,
    range: &Range,
    index: &'static Index,
    partition: &[u8],
    at_most: usize,
) -> Result<Vec<Entry>> {
    // No document has a longer partition key, and DynamoDB rejects a query with one.
    if partition.len() > MAX_PARTITION_KEY_BYTES || at_most == 0 {
        return Ok(Vec::new());
    }
    let partitions: Vec<Vec<u8>> = if is_sharded(index) {
        (0..index.shard_count()).map(|shard| [partition, &[shard]].concat()).collect()
    } else {
        vec![partition.to_vec()]
    };
    let share = match partitions.len() {
        1 => at_most,
        // Documents are spread almost evenly. With some spare entries, one request for each shard is usually
        // enough.
        shards => (at_most.div_ceil(shards) * 5 / 4 + 4).min(at_most),
    };
    let mut streams: Vec<_> =
        partitions.into_iter().map(|partition| Stream::new(db, range, index, partition)).collect();
    let mut entries = Vec::with_capacity(at_most);
    while entries.len() < at_most {
        try_join_all(streams.iter_mut().map(|stream| stream.fill(share))).await?;
        let fronts = streams.iter_mut().filter(|stream| !stream.entries.is_empty());
        let next = if range.descending {
            fronts.max_by(|a, b| a.front().cmp(&b.front()))
        } else {
            fronts.min_by(|a, b| a.front().cmp(&b.front()))
        };
        let Some(entry) = next.and_then(|stream| stream.entries.pop_front()) else { break };
        entries.push(entry);
    }
    Ok(entries)
}

/// The entries of one partition, read on demand.
struct Stream<'a> {
    db: &'a DynamoDb,
    range: &'a Range,
    query: OrderedQuery,
    position: String,
    entries: VecDeque<Entry>,
}

impl<'a> Stream<'a> {
    fn new(db: &'a DynamoDb, range: &'a Range, index: &Index, partition: Vec<u8>) -> Self {
        let position = position_attribute(index);
        let query = OrderedQuery::new(
            db.table(range.collection),
            Some(index_name(index)),
            (partition_attribute(index), bytes(partition)),
            position.clone(),
            range,
        );
        Self { db, range, query, position, entries: VecDeque::new() }
    }

    fn front(&self) -> Option<&[u8]> {
        self.entries.front().map(|entry| &entry.position[..])
    }

    /// Reads until there is an entry or the partition ends.
    async fn fill(&mut self, share: usize) -> Result<()> {
        let now = self.db.ambient.now();
        while self.entries.is_empty() && !self.query.is_exhausted() {
            for item in self.query.next_items(self.db, share).await? {
                let position = position_of(&item, &self.position)?;
                let document = document_of(self.range.collection, item)?;
                if !document.is_expired(now) {
                    self.entries.push_back(Entry { position, document });
                }
            }
        }
        Ok(())
    }
}

/// A query on one partition that is read page by page.
pub(crate) struct OrderedQuery {
    table: String,
    index: Option<String>,
    partition: (String, AttributeValue),
    position: String,
    from: Vec<u8>,
    to: Option<Vec<u8>>,
    descending: bool,
    next: Next,
}

enum Next {
    First,
    Behind(Item),
    Nothing,
}

impl OrderedQuery {
    pub(crate) fn new(
        table: String,
        index: Option<String>,
        partition: (String, AttributeValue),
        position: String,
        range: &Range,
    ) -> Self {
        let Range { from, to, descending, .. } = range.clone();
        Self { table, index, partition, position, from, to, descending, next: Next::First }
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        matches!(self.next, Next::Nothing)
    }

    /// Returns the next items, about `share` of them. May return none although more follow.
    pub(crate) async fn next_items(&mut self, db: &DynamoDb, share: usize) -> Result<Vec<Item>> {
        let start = match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::First => None,
            Next::Behind(key) => Some(key),
            Next::Nothing => return Ok(Vec::new()),
        };
        // One more, because BETWEEN includes the upper bound, which the range excludes.
        let limit = i32::try_from(share + 1).unwrap_or(i32::MAX);
        let mut request = db.client.query().table_name(&self.table).set_index_name(self.index.clone());
        request = request.expression_attribute_names("#partition", &self.partition.0);
        request = request.expression_attribute_values(":partition", self.partition.1.clone());
        let mut condition = "#partition = :partition".to_owned();
        let from = Some(&self.from[..]).filter(|from| !from.is_empty());
        let to = self.to.as_deref();
        match (from.is_some(), to.is_some()) {
            (true, true) => condition.push_str(" AND #position BETWEEN :from AND :to"),
            (true, false) => condition.push_str(" AND #position >= :from"),
            (false, true) => condition.push_str(" AND #position <= :to"),
            (false, false) => {}
        }
        if from.is_some() || to.is_some() {
            request = request.expression_attribute_names("#position", &self.position);
        }
        for (name, bound) in [(":from", from), (":to", to)] {
            if let Some(bound) = bound {
                request = request.expression_attribute_values(name, bytes(bound));
            }
        }
        let request = request.key_condition_expression(condition).scan_index_forward(!self.descending);
        let request = request.limit(limit).set_exclusive_start_key(start);
        let answer = db.read(|| request.clone().send()).await?;
        self.next = answer.last_evaluated_key.map_or(Next::Nothing, Next::Behind);
        let mut items = answer.items.unwrap_or_default();
        let mut fault = None;
        items.retain(|item| match position_of(item, &self.position) {
            Ok(position) => self.to.as_ref().is_none_or(|to| position < *to),
            Err(damage) => {
                fault = Some(damage);
                false
            }
        });
        fault.map_or(Ok(items), Err)
    }
}

/// Returns an item's position.
pub(crate) fn position_of(item: &Item, attribute: &str) -> Result<Vec<u8>> {
    match item.get(attribute) {
        Some(AttributeValue::B(position)) => Ok(position.as_ref().to_vec()),
        _ => Err(Error::Corrupt(format!("an index entry has no `{attribute}`"))),
    }
}
