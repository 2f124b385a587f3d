/// What a declared field holds. A document whose field holds something else is refused; a missing field or `null` is
/// not a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// Text.
    String,
    /// A whole number in i64.
    Integer,
    /// A moment, as whole microseconds since 1970 in i64.
    Time,
    /// `true` or `false`.
    Boolean,
    /// Anything. Only named so that people and reports see it as a column.
    Json,
}

impl FieldKind {
    /// What its values are in JSON, for messages.
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
    /// What it holds.
    pub kind: FieldKind,
}

impl Field {
    /// A field that holds text.
    pub const fn string(name: &'static str) -> Self {
        Self { name, kind: FieldKind::String }
    }

    /// A field that holds a whole number.
    pub const fn integer(name: &'static str) -> Self {
        Self { name, kind: FieldKind::Integer }
    }

    /// A field that holds a moment.
    pub const fn time(name: &'static str) -> Self {
        Self { name, kind: FieldKind::Time }
    }

    /// A field that holds `true` or `false`.
    pub const fn boolean(name: &'static str) -> Self {
        Self { name, kind: FieldKind::Boolean }
    }

    /// A field that holds anything; it cannot be indexed.
    pub const fn json(name: &'static str) -> Self {
        Self { name, kind: FieldKind::Json }
    }
}

/// A way to list documents: those whose partition fields equal the given values, ordered by the sort fields and then
/// the id. A document that lacks one of the fields is not in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Index {
    /// The index's name, unique in its collection.
    pub name: &'static str,
    /// The fields that a query fixes. None: the whole collection in order.
    pub partition: &'static [&'static str],
    /// The fields that order the documents of a partition.
    pub sort: &'static [&'static str],
    /// Over how many partitions DynamoDB spreads an index without partition fields, so that none is hot.
    pub shards: u8,
}

impl Index {
    /// An index of this name; give it a partition, a sort or both.
    pub const fn new(name: &'static str) -> Self {
        Self { name, partition: &[], sort: &[], shards: 4 }
    }

    /// The fields that a query fixes.
    pub const fn partition(mut self, fields: &'static [&'static str]) -> Self {
        self.partition = fields;
        self
    }

    /// The fields that order the documents.
    pub const fn sort(mut self, fields: &'static [&'static str]) -> Self {
        self.sort = fields;
        self
    }

    /// Over how many DynamoDB partitions an index without partition fields is spread (1 to 16, 4 unless told).
    pub const fn shards(mut self, shards: u8) -> Self {
        self.shards = shards;
        self
    }
}

/// A value, or a combination of values, that at most one document of the collection holds. A document that lacks one
/// of the fields, or has `null` there, is not constrained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unique {
    /// The attribute's name, unique in its collection; rejections carry it.
    pub name: &'static str,
    /// The fields whose values make it up.
    pub fields: &'static [&'static str],
}

impl Unique {
    /// A unique attribute made of these fields.
    pub const fn new(name: &'static str, fields: &'static [&'static str]) -> Self {
        Self { name, fields }
    }
}

/// The declaration of a collection: the one source for tables, columns, indexes and permissions on every backend.
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
pub struct Collection {
    /// The name, also of the table.
    pub name: &'static str,
    /// The declared fields.
    pub fields: &'static [Field],
    /// The indexes.
    pub indexes: &'static [Index],
    /// The unique attributes.
    pub uniques: &'static [Unique],
    /// The fields whose words `search` finds, in the order in which they fill the cap on terms.
    pub search: &'static [&'static str],
    /// The fields that `Increment` may change: every document has them, as integers.
    pub counters: &'static [&'static str],
    /// Whether documents may carry a time at which they cease to be.
    pub expiring: bool,
}

impl Collection {
    /// A collection without any declared field.
    pub const fn new(name: &'static str) -> Self {
        Self { name, fields: &[], indexes: &[], uniques: &[], search: &[], counters: &[], expiring: false }
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

    /// Declares the string fields that `search` looks into.
    pub const fn search(mut self, fields: &'static [&'static str]) -> Self {
        self.search = fields;
        self
    }

    /// Declares the integer fields that `Increment` may change.
    pub const fn counters(mut self, fields: &'static [&'static str]) -> Self {
        self.counters = fields;
        self
    }

    /// Lets documents of this collection expire.
    pub const fn expiring(mut self) -> Self {
        self.expiring = true;
        self
    }

    /// The declared field of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// These fields with what they are declared to hold, as text. A backend that keeps it beside what it made of the fields
    /// knows by it when a later declaration wants that made anew, so its form never changes.
    pub fn definition_of(&self, names: &[&str]) -> String {
        let definitions = names.iter().map(|name| match self.field(name) {
            Some(field) => format!("{name:?} {:?}", field.kind),
            None => format!("{name:?}"),
        });
        definitions.collect::<Vec<_>>().join(", ")
    }

    /// The declared index of this name.
    pub fn index(&self, name: &str) -> Option<&'static Index> {
        self.indexes.iter().find(|index| index.name == name)
    }

    /// The declared unique attribute of this name.
    pub fn unique(&self, name: &str) -> Option<&'static Unique> {
        self.uniques.iter().find(|unique| unique.name == name)
    }
}

/// Collections are told apart by their names.
impl PartialEq for Collection {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Collection {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Backends have stored definitions in this form: in another one, all that they made would be made anew.
    #[test]
    fn a_definition_has_the_form_in_which_backends_keep_it() {
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
