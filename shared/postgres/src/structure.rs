//! Structures: data derived from the documents of a collection so that they can be found.
//!
//! A structure is identified by its kind, its name and its definition, and so is the column or table that holds
//! it. When a declaration changes, the new structure exists together with the old one, and instances of the
//! previous program continue to use theirs.

use switchyard_database::Collection;

use crate::hash::fnv1a;
use crate::names::{short, terms_table};

/// Must be increased when the encoding of index entries or the extraction of search terms changes.
const FORMAT: &str = "1";

/// The kind of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A column with an index on it.
    Index,
    /// A column with a unique index on it.
    Unique,
    /// A table of search terms.
    Search,
    /// An index on the time of expiry.
    Expiry,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Index, Self::Unique, Self::Search, Self::Expiry];

    /// Returns the name that is stored in the database.
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
    /// The name of the index or unique attribute. Empty for the other kinds, which have at most one structure
    /// each.
    pub(crate) name: String,
    /// What the structure is derived from.
    pub(crate) definition: String,
}

impl Structure {
    /// Returns the name of the column or of the search term table that holds the structure.
    pub(crate) fn storage(&self, collection: &str) -> String {
        let digest = format!("{:08x}", fnv1a([self.definition.as_bytes()]) >> 32);
        match self.kind {
            Kind::Index | Kind::Unique => format!("{}${}${digest}", self.kind.name(), self.name),
            Kind::Search => terms_table(collection, &digest),
            Kind::Expiry => "expires_at".to_owned(),
        }
    }

    /// Returns the name of the structure's index. Indexes share one namespace with tables.
    pub(crate) fn index(&self, collection: &str) -> String {
        match self.kind {
            Kind::Search => short(&format!("{}$id", self.storage(collection))),
            _ => short(&format!("{collection}${}", self.storage(collection))),
        }
    }
}

/// Returns the declared structures: indexes and unique attributes in the order of their declaration, then search
/// terms, then expiry.
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
        // An expiring collection finds the terms of expired documents by id, so its table of terms has an index on
        // the id.
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

/// Returns a hash of the declared structures, which each row stores. With it a migration finds the rows to update:
/// those written before it, and those that instances of the previous program still write.
pub(crate) fn layout(collection: &Collection) -> i64 {
    let parts: Vec<_> = declared(collection)
        .into_iter()
        .filter(|structure| structure.kind != Kind::Expiry)
        .map(|structure| format!("{} {} {}", structure.kind.name(), structure.name, structure.definition))
        .collect();
    fnv1a(parts.iter().map(String::as_bytes)).cast_signed()
}
