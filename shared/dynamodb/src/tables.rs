//! The tables that the declared collections need. This is the only source of table definitions, for `migrate`, for
//! the deployment template and for the permissions of functions.

use switchyard_database::{Collection, Index, Schema};

/// The definition of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    /// Its name.
    pub name: String,
    /// The partition key.
    pub partition: KeyAttribute,
    /// The sort key, if the table has one.
    pub sort: Option<KeyAttribute>,
    /// Its global secondary indexes.
    pub indexes: Vec<IndexDefinition>,
    /// The attribute from which DynamoDB reads when to remove an item, if items expire.
    pub time_to_live: Option<&'static str>,
}

/// The definition of a global secondary index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDefinition {
    /// Its name.
    pub name: String,
    /// The partition key.
    pub partition: KeyAttribute,
    /// The sort key.
    pub sort: KeyAttribute,
    /// Which attributes of an item are copied to its entry.
    pub projection: IndexProjection,
}

/// A key attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttribute {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: AttributeKind,
}

/// The type of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeKind {
    /// Text (`S`).
    Text,
    /// A number (`N`).
    Number,
    /// Bytes (`B`).
    Bytes,
}

/// Which attributes of an item are copied to an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexProjection {
    /// The whole item (`ALL`).
    All,
    /// The keys of the table and of the index (`KEYS_ONLY`).
    Keys,
}

/// Returns the tables that `schema` needs, named with the prefix `prefix`: one for each collection, in the order
/// of their declaration, then the system table.
pub fn tables(schema: &Schema, prefix: &str) -> Vec<TableDefinition> {
    let collections = schema.collections().iter().map(|collection| collection_table(collection, prefix));
    collections.chain([system_table(prefix)]).collect()
}

/// Attributes of the items that hold documents.
pub(crate) mod document {
    pub(crate) const ID: &str = "id";
    pub(crate) const VERSION: &str = "version";
    pub(crate) const BODY: &str = "doc";
    pub(crate) const EXPIRY_SHARD: &str = "expiry_shard";
}

/// What the name of the attribute begins with that holds the tally of a document. `ADD` creates a top-level attribute, but
/// not one inside of `doc`. Names of indexes have no colon.
pub(crate) const TALLY_PREFIX: &str = "tally:";

/// Attributes of the items in the system table: guards of unique values, search terms, migration records.
pub(crate) mod system {
    pub(crate) const PARTITION: &str = "partition";
    pub(crate) const POSITION: &str = "position";
    /// The id of the document that a guard or a term belongs to.
    pub(crate) const OWNER: &str = "owner";
    /// A description of a guard or a term, for people who inspect the table.
    pub(crate) const ABOUT: &str = "about";
}

/// When an item expires, in microseconds since 1970. This exact value decides whether an item has expired.
pub(crate) const EXPIRES_AT: &str = "expires_at";
/// When DynamoDB may remove the item, in seconds since 1970, rounded up.
pub(crate) const TIME_TO_LIVE: &str = "ttl";

/// The index that finds expired documents for the sweep. Declared indexes have no hyphen in their names.
pub(crate) const EXPIRY_INDEX: &str = "expires-at";
/// The number of partitions of the expiry index. More than one avoids a hot partition.
pub(crate) const EXPIRY_SHARDS: u8 = 4;

/// Returns the name of the table of a collection's documents.
pub(crate) fn collection_table_name(prefix: &str, collection: &Collection) -> String {
    format!("{prefix}-{}", collection.name)
}

/// Returns the name of the system table.
pub(crate) fn system_table_name(prefix: &str) -> String {
    format!("{prefix}-system")
}

/// Returns the name of an index in DynamoDB, which requires at least three characters.
pub(crate) fn index_name(index: &Index) -> String {
    format!("{:-<3}", index.name)
}

/// Returns the name of the attribute that holds the encoded partition values of an index.
pub(crate) fn partition_attribute(index: &Index) -> String {
    format!("{}_partition", index.name)
}

/// Returns the name of the attribute that holds the encoded sort values of an index, followed by the id.
pub(crate) fn position_attribute(index: &Index) -> String {
    format!("{}_position", index.name)
}

fn collection_table(collection: &Collection, prefix: &str) -> TableDefinition {
    let mut indexes: Vec<_> = collection
        .indexes
        .iter()
        .map(|index| IndexDefinition {
            name: index_name(index),
            partition: KeyAttribute { name: partition_attribute(index), kind: AttributeKind::Bytes },
            sort: KeyAttribute { name: position_attribute(index), kind: AttributeKind::Bytes },
            projection: IndexProjection::All,
        })
        .collect();
    if collection.expiring {
        indexes.push(IndexDefinition {
            name: EXPIRY_INDEX.to_owned(),
            partition: KeyAttribute { name: document::EXPIRY_SHARD.to_owned(), kind: AttributeKind::Number },
            sort: KeyAttribute { name: EXPIRES_AT.to_owned(), kind: AttributeKind::Number },
            projection: IndexProjection::Keys,
        });
    }
    TableDefinition {
        name: collection_table_name(prefix, collection),
        partition: KeyAttribute { name: document::ID.to_owned(), kind: AttributeKind::Text },
        sort: None,
        indexes,
        time_to_live: collection.expiring.then_some(TIME_TO_LIVE),
    }
}

fn system_table(prefix: &str) -> TableDefinition {
    TableDefinition {
        name: system_table_name(prefix),
        partition: KeyAttribute { name: system::PARTITION.to_owned(), kind: AttributeKind::Bytes },
        sort: Some(KeyAttribute { name: system::POSITION.to_owned(), kind: AttributeKind::Bytes }),
        indexes: Vec::new(),
        time_to_live: Some(TIME_TO_LIVE),
    }
}

#[cfg(test)]
mod tests {
    use switchyard_database::Field;

    use super::*;

    const SESSIONS: &Collection = &Collection::new("sessions")
        .fields(&[Field::string("user_id"), Field::time("created_at")])
        .indexes(&[
            Index::new("by_user").partition(&["user_id"]).sort(&["created_at"]),
            Index::new("at").sort(&["created_at"]),
        ])
        .expiring();

    #[test]
    fn every_collection_has_a_table_with_its_indexes_and_all_share_the_system_table() {
        let tables = tables(&Schema::new([SESSIONS]).unwrap(), "shop");
        let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["shop-sessions", "shop-system"]);
        let table = &tables[0];
        let indexes: Vec<_> = table.indexes.iter().map(|index| index.name.as_str()).collect();
        assert_eq!(indexes, ["by_user", "at-", "expires-at"]);
        assert_eq!(table.indexes[0].partition.name, "by_user_partition");
        assert_eq!(table.indexes[0].sort.name, "by_user_position");
        assert_eq!(table.time_to_live, Some("ttl"));
    }
}
