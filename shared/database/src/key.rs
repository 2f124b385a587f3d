use std::fmt;
use std::hash::{Hash, Hasher};

use crate::collection::{Collection, Unique};
use crate::limits::{MAX_ID_BYTES, MAX_INDEXED_STRING_BYTES, MAX_PARTITION_KEY_BYTES};
use crate::{Document, Error, Projection, Result, Scalar, encoding};

/// The key of a document: its collection and its id.
#[derive(Clone)]
pub struct Key {
    collection: &'static Collection,
    id: String,
}

impl Key {
    /// The key of the document `id` of `collection`. The id must have 1 to 256 bytes and must not contain U+0000.
    pub fn new(collection: &'static Collection, id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(Error::Limit(format!(
                "an id must have 1 to {MAX_ID_BYTES} bytes, this one has {}",
                id.len()
            )));
        }
        if id.contains('\0') {
            return Err(Error::Invalid("an id must not contain U+0000".to_owned()));
        }
        Ok(Self { collection, id })
    }

    /// The collection.
    pub fn collection(&self) -> &'static Collection {
        self.collection
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn parts(&self) -> (&'static str, &str) {
        (self.collection.name, &self.id)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Orders by the collection's name, then by the id. Backends take locks in this order.
impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As in `users/0190…`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.collection.name, self.id)
    }
}

/// An encoded value of a unique attribute: the argument of `lookup`, and what a guard protects.
///
/// Two attributes of the same name over different fields are different attributes, so their values differ too.
#[derive(Clone)]
pub struct UniqueKey {
    collection: &'static Collection,
    attribute: &'static Unique,
    value: Vec<u8>,
}

impl UniqueKey {
    /// The value of `attribute` that consists of `values`, one scalar for each of the attribute's fields.
    pub fn new(
        collection: &'static Collection,
        attribute: &str,
        values: impl IntoIterator<Item = impl Into<Scalar>>,
    ) -> Result<Self> {
        let unique = collection.unique(attribute).ok_or_else(|| {
            Error::Invalid(format!(
                "the collection `{}` has no unique attribute `{attribute}`",
                collection.name
            ))
        })?;
        let values: Vec<Scalar> = values.into_iter().map(Into::into).collect();
        check_scalars(collection, unique.fields, &values)?;
        Self::of_values(collection, unique, &values)
    }

    pub(crate) fn of_values(
        collection: &'static Collection,
        unique: &'static Unique,
        values: &[Scalar],
    ) -> Result<Self> {
        let value = encoding::encode(values);
        if value.len() > MAX_PARTITION_KEY_BYTES {
            return Err(Error::Limit(format!(
                "the value of `{}` has {} bytes; at most {MAX_PARTITION_KEY_BYTES} are allowed",
                unique.name,
                value.len()
            )));
        }
        Ok(Self { collection, attribute: unique, value })
    }

    /// The collection.
    pub fn collection(&self) -> &'static Collection {
        self.collection
    }

    /// The attribute's declared name.
    pub fn attribute(&self) -> &'static str {
        self.attribute.name
    }

    /// The fields that the attribute is declared over.
    pub fn fields(&self) -> &'static [&'static str] {
        self.attribute.fields
    }

    /// Whether `document`, expired or not, holds the value.
    pub fn is_held_by(&self, document: &Document) -> bool {
        Projection::of(document).guards.contains(self)
    }

    /// The encoded value ([`encoding`]).
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    fn parts(&self) -> (&'static str, &'static str, &'static [&'static str], &[u8]) {
        (self.collection.name, self.attribute.name, self.attribute.fields, &self.value)
    }
}

impl PartialEq for UniqueKey {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for UniqueKey {}

impl PartialOrd for UniqueKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UniqueKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl Hash for UniqueKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

/// Shows only the attribute's name, because its value may be personal data.
impl fmt::Debug for UniqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.collection.name, self.attribute.name)
    }
}

/// Checks that there is one value for each of `fields`, of the declared kind.
pub(crate) fn check_scalars(collection: &Collection, fields: &[&str], values: &[Scalar]) -> Result<()> {
    if fields.len() != values.len() {
        let (expected, given) = (fields.len(), values.len());
        return Err(Error::Invalid(format!(
            "expected {expected} values ({}), got {given}",
            fields.join(", ")
        )));
    }
    for (name, value) in fields.iter().zip(values) {
        let field = collection.field(name).ok_or_else(|| {
            Error::Invalid(format!("the collection `{}` declares no field `{name}`", collection.name))
        })?;
        if !value.is_of(field.kind) {
            let (expected, given) = (field.kind.described(), value.described());
            return Err(Error::Invalid(format!(
                "`{name}` is {expected} and cannot be compared with {given}"
            )));
        }
        check_indexed_string(name, value)?;
    }
    Ok(())
}

/// Checks that a value, if it is a string, can be stored in an index.
pub(crate) fn check_indexed_string(name: &str, value: &Scalar) -> Result<()> {
    let Scalar::String(text) = value else { return Ok(()) };
    if text.len() > MAX_INDEXED_STRING_BYTES {
        return Err(Error::Limit(format!(
            "`{name}` is indexed and has {} bytes; at most {MAX_INDEXED_STRING_BYTES} are allowed",
            text.len()
        )));
    }
    if text.contains('\0') {
        return Err(Error::Invalid(format!("`{name}` must not contain U+0000")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;

    #[test]
    fn a_value_of_another_kind_is_refused_and_the_message_names_both_kinds() {
        const PEOPLE: &Collection = &Collection::new("people")
            .fields(&[Field::time("born")])
            .uniques(&[Unique::new("born", &["born"])]);
        let refused = UniqueKey::new(PEOPLE, "born", ["1906"]).unwrap_err();
        let message = "`born` is an integer and cannot be compared with a string";
        assert_eq!(refused, Error::Invalid(message.to_owned()));
    }
}
