//! The statements on the table of one collection.

mod backfill;
mod locked;
#[cfg(test)]
mod plans;
mod reads;
mod single;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use switchyard_database::{Collection, IndexEntry, Projection};
use tokio_postgres::types::Type;

use crate::names::{self, quoted};
use crate::sql::Parameters;
use crate::structure::{self, Kind};

pub(crate) use backfill::Backfill;
pub(crate) use locked::Locked;
pub(crate) use reads::Reads;
pub(crate) use single::Single;

/// The statements on the table of a collection, built once.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) collection: &'static Collection,
    pub(crate) reads: Reads,
    pub(crate) single: Single,
    pub(crate) locked: Locked,
    pub(crate) backfill: Backfill,
}

impl Table {
    pub(crate) fn new(collection: &'static Collection) -> Self {
        let layout = structure::layout(collection);
        let writer =
            Writer { collection, table: names::table(collection), storage: Storage::new(collection), layout };
        Self {
            collection,
            reads: Reads::new(&writer),
            single: Single::new(&writer),
            locked: Locked::new(&writer),
            backfill: Backfill::new(&writer),
        }
    }
}

/// Returns the condition that a row has not expired.
pub(crate) fn is_live(now: &str) -> String {
    format!("(expires_at is null or expires_at > {now})")
}

/// The names of the columns and tables that hold the structures of a collection, quoted.
#[derive(Debug)]
struct Storage {
    indexes: Vec<String>,
    uniques: Vec<String>,
    terms: Option<String>,
}

impl Storage {
    fn new(collection: &Collection) -> Self {
        let declared = structure::declared(collection);
        let of = |kind| {
            let names = declared.iter().filter(move |structure| structure.kind == kind);
            names.map(|structure| quoted(&structure.storage(collection.name))).collect::<Vec<_>>()
        };
        Self { indexes: of(Kind::Index), uniques: of(Kind::Unique), terms: of(Kind::Search).pop() }
    }

    /// Returns the columns that are derived from the content.
    fn derived(&self) -> impl Iterator<Item = &String> {
        self.indexes.iter().chain(&self.uniques)
    }
}

/// Returns the values of the derived columns: those of the indexes, then those of the unique attributes.
pub(crate) fn derived_values(table: &Table, projection: &Projection) -> Vec<Option<Vec<u8>>> {
    let entries = projection.entries.iter().map(|entry| entry.as_ref().map(IndexEntry::whole_key));
    let values = table.collection.uniques.iter().map(|unique| {
        let guard = projection.guards.iter().find(|guard| guard.attribute() == unique.name);
        guard.map(|guard| guard.value().to_vec())
    });
    entries.chain(values).collect()
}

/// The components of statements that write.
struct Writer {
    collection: &'static Collection,
    table: String,
    storage: Storage,
    layout: i64,
}

impl Writer {
    /// Returns the names and placeholders of all columns of a row.
    fn row(&self, parameters: &mut Parameters) -> Vec<(String, String)> {
        let mut row = vec![
            ("id".to_owned(), parameters.next(Type::TEXT)),
            ("version".to_owned(), parameters.next(Type::BYTEA)),
            ("doc".to_owned(), parameters.next(Type::JSONB)),
            ("expires_at".to_owned(), parameters.next(Type::INT8)),
            ("layout".to_owned(), self.layout.to_string()),
        ];
        row.extend(self.storage.derived().map(|column| (column.clone(), parameters.next(Type::BYTEA))));
        row
    }
}

impl Writer {
    /// Returns what an update sets. If there are search terms, the update changes only the terms that differ from
    /// the previous document as this program declares them. This makes a row complete only if it was complete
    /// before, so a row with another layout is marked as mixed.
    fn sets(&self, row: &[(String, String)]) -> String {
        list(&row[1..], |(name, value)| match (&**name, &self.storage.terms) {
            ("layout", Some(_)) => format!("layout = case layout when {value} then {value} else {MIXED} end"),
            _ => format!("{name} = {value}"),
        })
    }
}

/// The layout of a row that is complete under no declaration.
const MIXED: i64 = 0;

fn list(row: &[(String, String)], of: impl FnMut(&(String, String)) -> String) -> String {
    row.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// The tables of the collections that have been used so far.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// Keyed by the address of the declaration: two declarations with the same name, such as before and after a
    /// change, have separate entries.
    tables: RwLock<HashMap<usize, Arc<Table>>>,
}

impl Tables {
    pub(crate) fn of(&self, collection: &'static Collection) -> Arc<Table> {
        let address = std::ptr::from_ref(collection).addr();
        let known = self.tables.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned();
        known.unwrap_or_else(|| {
            let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
            tables.entry(address).or_insert_with(|| Arc::new(Table::new(collection))).clone()
        })
    }
}
