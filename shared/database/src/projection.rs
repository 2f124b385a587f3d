use std::collections::BTreeSet;

use switchyard_ambient::Timestamp;

use crate::collection::{Index, Unique};
use crate::key::check_indexed_string;
use crate::limits::{MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES};
use crate::{Body, Document, Error, Key, Result, Scalar, UniqueKey, encoding, terms};

/// What is stored besides a document so that it can be found. All of it is derived from the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// Its entry in each declared index, in the order of declaration; `None` if the document is not in the index.
    pub entries: Vec<Option<IndexEntry>>,
    /// The unique values that it holds.
    pub guards: BTreeSet<UniqueKey>,
    /// Its search terms.
    pub terms: BTreeSet<String>,
    /// When the document expires.
    pub expires_at: Option<Timestamp>,
}

/// The place of a document in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The index.
    pub index: &'static Index,
    /// The encoded partition values; empty for an index without partition fields.
    pub partition: Vec<u8>,
    /// The encoded sort values followed by the encoded id; unique in its partition.
    pub position: Vec<u8>,
}

impl IndexEntry {
    /// The place of a stored document in an index of its collection; `None` if it is not in the index.
    pub fn of(document: &Document, index: &'static Index) -> Option<Self> {
        entry(&document.key, index, &document.body).ok().flatten()
    }

    /// Partition and position as one key, for a backend with one ordered column for each index.
    pub fn whole_key(&self) -> Vec<u8> {
        [&self.partition[..], &self.position].concat()
    }
}

impl Projection {
    /// The projection of a document that is about to be written. Fails if an indexed value exceeds a limit.
    pub(crate) fn new(key: &Key, body: &Body, expires_at: Option<Timestamp>) -> Result<Self> {
        let collection = key.collection();
        let entries =
            collection.indexes.iter().map(|index| entry(key, index, body)).collect::<Result<_>>()?;
        let guards = collection
            .uniques
            .iter()
            .filter_map(|unique| guard(key, unique, body).transpose())
            .collect::<Result<_>>()?;
        Ok(Self { entries, guards, terms: terms::of_document(collection, body), expires_at })
    }

    /// The projection of a stored document.
    ///
    /// A document may have been stored before a field was declared, with a value that the declaration does not
    /// allow. Such a value counts as missing, so that the document can still be migrated, replaced and deleted.
    pub fn of(document: &Document) -> Self {
        let Document { key, body, expires_at, .. } = document;
        let collection = key.collection();
        Self {
            entries: collection.indexes.iter().map(|index| IndexEntry::of(document, index)).collect(),
            guards: collection.uniques.iter().filter_map(|u| guard(key, u, body).ok().flatten()).collect(),
            terms: terms::of_document(collection, body),
            expires_at: *expires_at,
        }
    }
}

/// The position of a document under one of its search terms. The results of a search are ordered by it.
pub fn term_position(term: &str, id: &str) -> Vec<u8> {
    let mut position = Vec::with_capacity(term.len() + id.len() + 2);
    encoding::encode_string_into(term, &mut position);
    encoding::encode_string_into(id, &mut position);
    position
}

fn entry(key: &Key, index: &'static Index, body: &Body) -> Result<Option<IndexEntry>> {
    let (Some(partition), Some(sort)) = (values(key, index.partition, body)?, values(key, index.sort, body)?)
    else {
        return Ok(None);
    };
    let partition = encoding::encode(&partition);
    let mut position = encoding::encode(&sort);
    encoding::encode_string_into(key.id(), &mut position);
    if partition.len() > MAX_PARTITION_KEY_BYTES || position.len() > MAX_SORT_KEY_BYTES {
        return Err(Error::Limit(format!(
            "{key} has {} partition bytes and {} sort bytes in the index `{}`; at most {MAX_PARTITION_KEY_BYTES} and \
             {MAX_SORT_KEY_BYTES} are allowed",
            partition.len(),
            position.len(),
            index.name
        )));
    }
    Ok(Some(IndexEntry { index, partition, position }))
}

fn guard(key: &Key, unique: &'static Unique, body: &Body) -> Result<Option<UniqueKey>> {
    let Some(values) = values(key, unique.fields, body)? else { return Ok(None) };
    UniqueKey::of_values(key.collection(), unique, &values).map(Some)
}

/// The values of `fields`; `None` if one is missing, `null` or of another kind than declared.
fn values(key: &Key, fields: &[&str], body: &Body) -> Result<Option<Vec<Scalar>>> {
    let mut values = Vec::with_capacity(fields.len());
    for name in fields {
        let kind = key.collection().field(name).map(|field| field.kind);
        let scalar = body.get(*name).and_then(Scalar::from_json);
        let Some(value) = scalar.filter(|scalar| kind.is_some_and(|kind| scalar.is_of(kind))) else {
            return Ok(None);
        };
        check_indexed_string(name, &value)?;
        values.push(value);
    }
    Ok(Some(values))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Collection, Field, Version};

    const PEOPLE: &Collection = &Collection::new("people")
        .fields(&[Field::string("name"), Field::integer("born")])
        .indexes(&[Index::new("by_name").sort(&["name"]), Index::new("by_birth").sort(&["born", "name"])])
        .uniques(&[Unique::new("name", &["name"])]);

    fn document(body: serde_json::Value) -> Document {
        let body = body.as_object().unwrap().clone();
        Document { key: Key::new(PEOPLE, "p").unwrap(), version: Version::NONE, body, expires_at: None }
    }

    #[test]
    fn a_stored_value_that_does_not_match_its_declaration_counts_as_missing() {
        let nothing = Projection {
            entries: vec![None, None],
            guards: BTreeSet::new(),
            terms: BTreeSet::new(),
            expires_at: None,
        };
        assert_eq!(Projection::of(&document(json!({"name": 5, "born": 1906}))), nothing);
        assert_eq!(Projection::of(&document(json!({"name": "x".repeat(513), "born": 1906}))), nothing);
    }

    #[test]
    fn a_document_is_in_an_index_if_every_field_has_a_value() {
        let written = Projection::of(&document(json!({"name": "Grace", "born": null})));
        assert_eq!(written.entries[0].as_ref().unwrap().position, b"Grace\0p\0");
        assert_eq!(written.entries[1], None);
        assert_eq!(written.guards.len(), 1);
    }
}
