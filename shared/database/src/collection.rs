/// The kind of value that a declared field holds. A document with a value of another kind is refused; a missing
/// field and `null` are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// Text.
    String,
    /// A whole number in i64.
    Integer,
    /// A time, as whole microseconds since 1970 in i64.
    Time,
    /// `true` or `false`.
    Boolean,
    /// Any value. Such a field is only declared to be visible as a column to people and reports.
    Json,
}

impl FieldKind {
    /// What the field's values are in JSON, for messages.
    pub(crate) fn described(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer | Self::Time => "an integer",
            Self::Boolean => "a boolean",
            Self::Json => "any value",
        }
    }
}

/// A top-level field of a collection's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// The field's name in the document.
    pub name: &'static str,
    /// The kind of value that it holds.
    pub kind: FieldKind,
    /// Whether many documents have the same value, as with a status, a role or a boolean.
    pub has_few_values: bool,
}

impl Field {
    /// A field that holds text.
    pub const fn string(name: &'static str) -> Self {
        Self::of(name, FieldKind::String)
    }

    /// A field that holds a whole number.
    pub const fn integer(name: &'static str) -> Self {
        Self::of(name, FieldKind::Integer)
    }

    /// A field that holds a time.
    pub const fn time(name: &'static str) -> Self {
        Self::of(name, FieldKind::Time)
    }

    /// A field that holds `true` or `false`.
    pub const fn boolean(name: &'static str) -> Self {
        Self::of(name, FieldKind::Boolean)
    }

    /// A field that holds any value; it cannot be indexed.
    pub const fn json(name: &'static str) -> Self {
        Self::of(name, FieldKind::Json)
    }

    /// A field of this kind. Booleans have few values.
    pub const fn of(name: &'static str, kind: FieldKind) -> Self {
        Self { name, kind, has_few_values: matches!(kind, FieldKind::Boolean) }
    }

    /// Declares that many documents have the same value. An index whose partition consists of such fields has to be
    /// spread over shards ([`Index::shards`]): all writes of documents with one value go to one partition, and
    /// DynamoDB limits the writes of a partition to about a thousand a second.
    #[must_use]
    pub const fn few_values(mut self) -> Self {
        self.has_few_values = true;
        self
    }
}

/// An index, which lists the documents whose partition fields equal given values, ordered by the sort fields and
/// then by id. A document that lacks one of the fields, or has `null` in it, is not in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Index {
    /// The index's name, unique in its collection.
    pub name: &'static str,
    /// The fields for which a query gives values. If there are none, the index lists the whole collection.
    pub partition: &'static [&'static str],
    /// The fields that order the documents of a partition.
    pub sort: &'static [&'static str],
    /// The number of DynamoDB partitions over which the documents of each partition are spread, if it was set.
    pub shards: Option<u8>,
    /// What DynamoDB copies to the entries besides the keys.
    pub copies: Copies,
}

/// What an index on DynamoDB copies of each document. The other databases copy nothing and read the documents
/// themselves.
///
/// A copy makes writes dearer and reads cheaper. DynamoDB charges an index for each write that changes something
/// that the entry has, and for the size of the entry.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Copies {
    /// Nothing. A query reads each document besides its entry.
    Nothing,
    /// These fields. Entries that a filter on them refuses are skipped without reading their documents.
    Fields(&'static [&'static str]),
    /// The whole document. A query reads entries alone.
    Documents,
}

impl Index {
    /// An index with this name. It needs partition fields, sort fields or both.
    pub const fn new(name: &'static str) -> Self {
        Self { name, partition: &[], sort: &[], shards: None, copies: Copies::Nothing }
    }

    /// Sets the fields for which a query gives values.
    pub const fn partition(mut self, fields: &'static [&'static str]) -> Self {
        self.partition = fields;
        self
    }

    /// Sets the fields that order the documents of a partition.
    pub const fn sort(mut self, fields: &'static [&'static str]) -> Self {
        self.sort = fields;
        self
    }

    /// Sets the number of DynamoDB partitions over which the documents of each partition of the index are spread, by
    /// their ids, so that none is hot (1 to 16). All of them are read and merged, so a query costs as many requests.
    /// The other databases have one ordered index in any case.
    ///
    /// By default an index without partition fields has 4 shards, and other indexes have 1.
    pub const fn shards(mut self, shards: u8) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Copies these fields to the entries on DynamoDB, so that filters on them read no document that they refuse.
    pub const fn copying_fields(mut self, fields: &'static [&'static str]) -> Self {
        self.copies = Copies::Fields(fields);
        self
    }

    /// Copies the documents to the entries on DynamoDB. This suits documents that are listed more often than they
    /// change.
    pub const fn copying_documents(mut self) -> Self {
        self.copies = Copies::Documents;
        self
    }

    /// The fields that are copied to the entries one by one.
    pub const fn copied_fields(&self) -> &'static [&'static str] {
        match self.copies {
            Copies::Fields(fields) => fields,
            Copies::Nothing | Copies::Documents => &[],
        }
    }

    /// The number of shards.
    pub const fn shard_count(&self) -> u8 {
        match self.shards {
            Some(shards) => shards,
            None if self.partition.is_empty() => 4,
            None => 1,
        }
    }
}

/// A unique attribute: a value, or a combination of values, that at most one document of the collection holds. A
/// document that lacks one of the fields, or has `null` in it, is not constrained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unique {
    /// The attribute's name, unique in its collection; rejections contain it.
    pub name: &'static str,
    /// The fields whose values it consists of.
    pub fields: &'static [&'static str],
}

impl Unique {
    /// A unique attribute that consists of these fields.
    pub const fn new(name: &'static str, fields: &'static [&'static str]) -> Self {
        Self { name, fields }
    }
}

/// The declaration of a collection, from which every backend derives tables, columns, indexes and permissions.
///
/// ```
/// use switchyard_database::{Collection, Field, Index, Unique};
///
/// const USERS: &Collection = &Collection::new("users")
///     .fields(&[Field::string("email"), Field::string("name"), Field::time("created_at"), Field::integer("visits")])
///     .indexes(&[Index::new("by_creation").sort(&["created_at"])])
///     .uniques(&[Unique::new("email", &["email"])])
///     .search(&["name", "email"])
///     .counters(&["visits"]);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Collection {
    /// The name, which is also the name of the table.
    pub name: &'static str,
    /// The declared fields.
    pub fields: &'static [Field],
    /// The indexes.
    pub indexes: &'static [Index],
    /// The unique attributes.
    pub uniques: &'static [Unique],
    /// The fields whose words `search` finds. Their words are kept in this order, up to
    /// [`MAX_TERMS`](crate::limits::MAX_TERMS).
    pub search: &'static [&'static str],
    /// The fields that `Increment` may change. Every document must have them, as integers.
    pub counters: &'static [&'static str],
    /// The field to which [`add`](crate::Database::add) adds, if the documents are written by additions alone. Every
    /// document must have it, as an integer.
    pub tally: Option<&'static str>,
    /// Whether documents may have an expiry time.
    pub expiring: bool,
    /// Whether documents are only created: none is changed or removed, except by its expiry.
    pub append_only: bool,
}

impl Collection {
    /// A collection without any declared field.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            fields: &[],
            indexes: &[],
            uniques: &[],
            search: &[],
            counters: &[],
            tally: None,
            expiring: false,
            append_only: false,
        }
    }

    /// Declares fields.
    pub const fn fields(mut self, fields: &'static [Field]) -> Self {
        self.fields = fields;
        self
    }

    /// Declares indexes.
    pub const fn indexes(mut self, indexes: &'static [Index]) -> Self {
        self.indexes = indexes;
        self
    }

    /// Declares unique attributes.
    pub const fn uniques(mut self, uniques: &'static [Unique]) -> Self {
        self.uniques = uniques;
        self
    }

    /// Declares the string fields whose words `search` finds.
    pub const fn search(mut self, fields: &'static [&'static str]) -> Self {
        self.search = fields;
        self
    }

    /// Declares the integer fields that `Increment` may change.
    pub const fn counters(mut self, fields: &'static [&'static str]) -> Self {
        self.counters = fields;
        self
    }

    /// Declares the integer field to which [`add`](crate::Database::add) adds. The documents are then created and changed
    /// by additions alone, and are found by their ids alone: the collection has no counters, no indexes, no unique
    /// attributes and no search.
    pub const fn tally(mut self, field: &'static str) -> Self {
        self.tally = Some(field);
        self
    }

    /// Lets documents of this collection expire.
    pub const fn expiring(mut self) -> Self {
        self.expiring = true;
        self
    }

    /// Declares that documents are only created. A batch that would replace, delete or increment one is refused. One that
    /// expires is removed as in any collection, and its id may then be used again.
    pub const fn append_only(mut self) -> Self {
        self.append_only = true;
        self
    }

    /// The declared field with this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// These fields with their declared kinds, as text. A backend stores this text with each structure that it
    /// creates from the fields. When the text changes, it knows that the structure has to be recreated. The format
    /// must therefore never change.
    pub fn definition_of(&self, names: &[&str]) -> String {
        let definitions = names.iter().map(|name| match self.field(name) {
            Some(field) => format!("{name:?} {:?}", field.kind),
            None => format!("{name:?}"),
        });
        definitions.collect::<Vec<_>>().join(", ")
    }

    /// The declared index with this name.
    pub fn index(&self, name: &str) -> Option<&'static Index> {
        self.indexes.iter().find(|index| index.name == name)
    }

    /// The declared unique attribute with this name.
    pub fn unique(&self, name: &str) -> Option<&'static Unique> {
        self.uniques.iter().find(|unique| unique.name == name)
    }
}

/// Two collections are equal if their names are.
impl PartialEq for Collection {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Collection {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Backends have stored definitions in this format. If it changed, they would recreate everything.
    #[test]
    fn a_definition_has_the_format_in_which_backends_have_stored_it() {
        const FIELDS: &[Field] = &[
            Field::string("text"),
            Field::integer("number"),
            Field::time("moment"),
            Field::boolean("flag"),
            Field::json("rest"),
        ];
        let collection = Collection::new("things").fields(FIELDS);
        let definition = collection.definition_of(&["moment", "number", "text", "flag", "rest", "unknown"]);
        let expected =
            r#""moment" Time, "number" Integer, "text" String, "flag" Boolean, "rest" Json, "unknown""#;
        assert_eq!(definition, expected);
    }
}
