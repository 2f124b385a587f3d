//! The tables that the declared collections need. This is the only source of table definitions, for `migrate`, for
//! the deployment template and for the permissions of functions.

use std::collections::BTreeSet;

use switchyard_database::{Collection, Copies, Index, Schema};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexProjection {
    /// The whole item (`ALL`).
    All,
    /// The keys of the table and of the index (`KEYS_ONLY`).
    Keys,
    /// The keys and these attributes (`INCLUDE`).
    Include(Vec<String>),
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
    /// Begins the name of the attribute that holds a single field of the document, which is then not part of `doc`:
    /// an index copies whole attributes alone, and `ADD` creates no attribute inside of another.
    pub(crate) const FIELD_PREFIX: &str = "doc.";
}

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

/// Returns the name of the table of a collection's documents.
pub(crate) fn collection_table_name(prefix: &str, collection: &Collection) -> String {
    format!("{prefix}-{}", collection.name)
}

/// Returns the name of the system table.
pub(crate) fn system_table_name(prefix: &str) -> String {
    format!("{prefix}-system")
}

/// Returns the name of an index in DynamoDB, which requires at least three characters.
///
/// The name tells what the index copies, because DynamoDB cannot change that: an index that is to copy something else
/// is created beside the present one, which stays in use until the migration ends.
pub fn index_name(index: &Index) -> String {
    let name = index.name;
    match index.copies {
        Copies::Nothing => format!("{name:-<3}"),
        Copies::Documents => format!("{name}-documents"),
        Copies::Fields(fields) => format!("{name}-{:016x}", fnv1a(&fields.join("\0"))),
    }
}

/// Returns the name of the attribute that holds a field which has an attribute of its own.
pub(crate) fn field_attribute(field: &str) -> String {
    format!("{}{field}", document::FIELD_PREFIX)
}

/// Returns the fields that have attributes of their own: those that indexes copy one by one, and the tally.
pub(crate) fn separate_field_names(collection: &Collection) -> BTreeSet<&'static str> {
    let copied = collection.indexes.iter().flat_map(Index::copied_fields).copied();
    copied.chain(collection.tally).collect()
}

/// Returns the FNV-1a hash of a text.
pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
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
    let indexes = collection
        .indexes
        .iter()
        .map(|index| IndexDefinition {
            name: index_name(index),
            partition: KeyAttribute { name: partition_attribute(index), kind: AttributeKind::Bytes },
            sort: KeyAttribute { name: position_attribute(index), kind: AttributeKind::Bytes },
            projection: match index.copies {
                Copies::Nothing => IndexProjection::Keys,
                Copies::Documents => IndexProjection::All,
                Copies::Fields(fields) => {
                    IndexProjection::Include(fields.iter().map(|field| field_attribute(field)).collect())
                }
            },
        })
        .collect();
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
        .fields(&[Field::string("user_id"), Field::time("created_at"), Field::string("device")])
        .indexes(&[
            Index::new("by_user").partition(&["user_id"]).sort(&["created_at"]).copying_documents(),
            Index::new("at").sort(&["created_at"]),
            Index::new("by_device").partition(&["device"]).copying_fields(&["user_id"]),
        ])
        .expiring();

    #[test]
    fn every_collection_has_a_table_with_its_indexes_and_all_share_the_system_table() {
        let tables = tables(&Schema::new([SESSIONS]).unwrap(), "shop");
        let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["shop-sessions", "shop-system"]);
        let table = &tables[0];
        let indexes: Vec<_> = table.indexes.iter().map(|index| index.name.as_str()).collect();
        assert_eq!(indexes, ["by_user-documents", "at-", "by_device-80c229a4571e9bfa"]);
        let projections: Vec<_> = table.indexes.iter().map(|index| index.projection.clone()).collect();
        let user_id = IndexProjection::Include(vec!["doc.user_id".to_owned()]);
        assert_eq!(projections, [IndexProjection::All, IndexProjection::Keys, user_id]);
        assert_eq!(table.indexes[0].partition.name, "by_user_partition");
        assert_eq!(table.indexes[0].sort.name, "by_user_position");
        assert_eq!(table.time_to_live, Some("ttl"));
    }
}
