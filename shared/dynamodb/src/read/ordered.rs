//! Reads items in order, with a query on one partition or with queries on several partitions whose results are
//! merged.

use std::collections::VecDeque;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use switchyard_database::paging::Range;
use switchyard_database::{Error, Result};

use crate::DynamoDb;
use crate::value::{Item, bytes};

/// The partitions of a table or of one of its indexes in which a range lies.
pub(crate) struct Partitions {
    pub(crate) table: String,
    pub(crate) index: Option<String>,
    /// The attribute with the partition key.
    pub(crate) partition: String,
    /// The attribute with the sort key.
    pub(crate) position: String,
    /// The keys of the partitions.
    pub(crate) keys: Vec<Vec<u8>>,
}

/// An item and its sort key.
pub(crate) struct Place {
    pub(crate) position: Vec<u8>,
    pub(crate) item: Item,
}

/// The items of a range, read page by page.
pub(crate) struct Ordered<'a> {
    db: &'a DynamoDb,
    range: &'a Range,
    partitions: Partitions,
    streams: Vec<Stream>,
}

/// The items of one partition.
struct Stream {
    /// What is read and not yet returned.
    places: VecDeque<Place>,
    next: Next,
}

enum Next {
    First,
    Behind(Item),
    Nothing,
}

impl<'a> Ordered<'a> {
    pub(crate) fn new(db: &'a DynamoDb, range: &'a Range, partitions: Partitions) -> Self {
        let streams = partitions.keys.iter().map(|_| Stream { places: VecDeque::new(), next: Next::First });
        Self { db, range, streams: streams.collect(), partitions }
    }

    /// Returns the next `at_most` items. Returns fewer only if the range has no more.
    pub(crate) async fn take(&mut self, at_most: usize) -> Result<Vec<Place>> {
        let share = match self.streams.len() {
            1 => at_most,
            // Documents are spread almost evenly. With some spare items, one request for each shard is usually
            // enough.
            shards => (at_most.div_ceil(shards) * 5 / 4 + 4).min(at_most),
        };
        let Self { db, range, partitions, streams } = self;
        let mut taken = Vec::with_capacity(at_most);
        while taken.len() < at_most {
            let fills = streams.iter_mut().zip(&partitions.keys);
            let fills = fills.map(|(stream, key)| stream.fill(db, range, partitions, key, share));
            try_join_all(fills).await?;
            let fronts = streams.iter_mut().filter(|stream| !stream.places.is_empty());
            let next = if range.descending {
                fronts.max_by(|a, b| a.front().cmp(&b.front()))
            } else {
                fronts.min_by(|a, b| a.front().cmp(&b.front()))
            };
            let Some(place) = next.and_then(|stream| stream.places.pop_front()) else { break };
            taken.push(place);
        }
        Ok(taken)
    }
}

impl Stream {
    fn front(&self) -> Option<&[u8]> {
        self.places.front().map(|place| &place.position[..])
    }

    /// Reads until there is an item or the partition ends.
    async fn fill(
        &mut self,
        db: &DynamoDb,
        range: &Range,
        partitions: &Partitions,
        key: &[u8],
        share: usize,
    ) -> Result<()> {
        while self.places.is_empty() {
            let start = match std::mem::replace(&mut self.next, Next::Nothing) {
                Next::First => None,
                Next::Behind(last) => Some(last),
                Next::Nothing => break,
            };
            let (items, last) = page(db, range, partitions, key, start, share).await?;
            self.next = last.map_or(Next::Nothing, Next::Behind);
            for item in items {
                let position = position_of(&item, &partitions.position)?;
                if range.to.as_ref().is_none_or(|to| position < *to) {
                    self.places.push_back(Place { position, item });
                }
            }
        }
        Ok(())
    }
}

/// Returns about `share` items of a partition behind the item `start`, and the key behind which the next ones are.
async fn page(
    db: &DynamoDb,
    range: &Range,
    partitions: &Partitions,
    key: &[u8],
    start: Option<Item>,
    share: usize,
) -> Result<(Vec<Item>, Option<Item>)> {
    // One more, because BETWEEN includes the upper bound, which the range excludes.
    let limit = i32::try_from(share + 1).unwrap_or(i32::MAX);
    let mut request =
        db.client.query().table_name(&partitions.table).set_index_name(partitions.index.clone());
    request = request.expression_attribute_names("#partition", &partitions.partition);
    request = request.expression_attribute_values(":partition", bytes(key));
    let mut condition = "#partition = :partition".to_owned();
    let from = Some(&range.from[..]).filter(|from| !from.is_empty());
    let to = range.to.as_deref();
    match (from.is_some(), to.is_some()) {
        (true, true) => condition.push_str(" AND #position BETWEEN :from AND :to"),
        (true, false) => condition.push_str(" AND #position >= :from"),
        (false, true) => condition.push_str(" AND #position <= :to"),
        (false, false) => {}
    }
    if from.is_some() || to.is_some() {
        request = request.expression_attribute_names("#position", &partitions.position);
    }
    for (name, bound) in [(":from", from), (":to", to)] {
        if let Some(bound) = bound {
            request = request.expression_attribute_values(name, bytes(bound));
        }
    }
    let request = request.key_condition_expression(condition).scan_index_forward(!range.descending);
    let request = request.limit(limit).set_exclusive_start_key(start);
    let answer = db.read(|| request.clone().send()).await?;
    Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
}

fn position_of(item: &Item, attribute: &str) -> Result<Vec<u8>> {
    match item.get(attribute) {
        Some(AttributeValue::B(position)) => Ok(position.as_ref().to_vec()),
        _ => Err(Error::Corrupt(format!("an index entry has no `{attribute}`"))),
    }
}
