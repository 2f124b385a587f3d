//! What is kept beside the documents of a collection so that they can be found.
//!
//! A structure is known by its kind, its name and what it is made of, and so is the column or table that holds it: when
//! a declaration changes, the new structure stands beside the old one, and instances of the program before go on with
//! theirs.

use switchyard_database::Collection;

use crate::hash::fnv1a;
use crate::names::{short, terms_table};

/// Raised when the encoding of index entries or the making of search terms changes.
const FORMAT: &str = "1";

/// Kinds of structures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A column with an index on it.
    Index,
    /// A column with a unique index on it.
    Unique,
    /// A table of search terms.
    Search,
    /// An index on the moment of expiry.
    Expiry,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Index, Self::Unique, Self::Search, Self::Expiry];

    /// As it is noted in the database.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Unique => "unique",
            Self::Search => "search",
            Self::Expiry => "expiry",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A structure of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Structure {
    pub(crate) kind: Kind,
    /// Of the index or the unique attribute; empty for the other kinds, of which there is one.
    pub(crate) name: String,
    /// What it is made of.
    pub(crate) definition: String,
}

impl Structure {
    /// The name of the column, or of the table of search terms, that holds it.
    pub(crate) fn storage(&self, collection: &str) -> String {
        let digest = format!("{:08x}", fnv1a([self.definition.as_bytes()]) >> 32);
        match self.kind {
            Kind::Index | Kind::Unique => format!("{}${}${digest}", self.kind.name(), self.name),
            Kind::Search => terms_table(collection, &digest),
            Kind::Expiry => "expires_at".to_owned(),
        }
    }

    /// The name of its index. Indexes share one space of names with tables.
    pub(crate) fn index(&self, collection: &str) -> String {
        match self.kind {
            Kind::Search => short(&format!("{}$id", self.storage(collection))),
            _ => short(&format!("{collection}${}", self.storage(collection))),
        }
    }
}

/// The declared structures: indexes and unique attributes in the order of their declaration, search terms, expiry.
pub(crate) fn declared(collection: &Collection) -> Vec<Structure> {
    let structure =
        |kind, name: &str, definition: String| Structure { kind, name: name.to_owned(), definition };
    let fields = |names: &[&str]| collection.definition_of(names);
    let indexes = collection.indexes.iter().map(|index| {
        let definition = format!("{FORMAT}: {} / {}", fields(index.partition), fields(index.sort));
        structure(Kind::Index, index.name, definition)
    });
    let uniques = collection
        .uniques
        .iter()
        .map(|unique| structure(Kind::Unique, unique.name, format!("{FORMAT}: {}", fields(unique.fields))));
    let mut structures: Vec<_> = indexes.chain(uniques).collect();
    if !collection.search.is_empty() {
        // The terms of what has expired are found by the id, for which their table has an index, or has not.
        let expiring = if collection.expiring { ", expiring" } else { "" };
        structures.push(structure(
            Kind::Search,
            "",
            format!("{FORMAT}: {}{expiring}", fields(collection.search)),
        ));
    }
    if collection.expiring {
        structures.push(structure(Kind::Expiry, "", String::new()));
    }
    structures
}

/// What a row says of the structures that its writer knew of, so that a migration finds the rows to bring up to date:
/// those of the time before, and those that instances of the program before go on writing.
pub(crate) fn layout(collection: &Collection) -> i64 {
    let parts: Vec<_> = declared(collection)
        .into_iter()
        .filter(|structure| structure.kind != Kind::Expiry)
        .map(|structure| format!("{} {} {}", structure.kind.name(), structure.name, structure.definition))
        .collect();
    fnv1a(parts.iter().map(String::as_bytes)).cast_signed()
}
