//! Reads ranges of search terms with a query on the system table, and then the documents of those terms.

use switchyard_database::paging::{Entry, Range};
use switchyard_database::{Error, Key, Result, is_expired};

use crate::DynamoDb;
use crate::item::{expiry_of, owner_of, term_partition};
use crate::read::index::{OrderedQuery, position_of};
use crate::read::{Consistency, get_live};
use crate::tables::system;
use crate::value::bytes;

/// Returns the first `at_most` entries of a range of terms whose documents are live.
pub(crate) async fn read(db: &DynamoDb, range: &Range, prefix: &str, at_most: usize) -> Result<Vec<Entry>> {
    let partition = bytes(term_partition(range.collection, prefix));
    let mut query = OrderedQuery::new(
        db.system_table(),
        None,
        (system::PARTITION.to_owned(), partition),
        system::POSITION.to_owned(),
        range,
    );
    let now = db.ambient.now();
    let mut entries = Vec::new();
    while entries.len() < at_most && !query.is_exhausted() {
        let mut places = Vec::new();
        for item in query.next_items(db, at_most - entries.len()).await? {
            if is_expired(expiry_of(&item), now) {
                continue;
            }
            let owner = owner_of(&item)
                .ok_or_else(|| Error::Corrupt("a search term does not name its document".to_owned()))?;
            let key = Key::new(range.collection, owner)?;
            places.push((position_of(&item, system::POSITION)?, key));
        }
        let keys: Vec<_> = places.iter().map(|(_, key)| key.clone()).collect();
        let documents = get_live(db, &keys, Consistency::Eventual).await?;
        entries.extend(places.into_iter().filter_map(|(position, key)| {
            let document = documents.get(&key)?.clone();
            Some(Entry { position, document })
        }));
    }
    entries.truncate(at_most);
    Ok(entries)
}
