//! What belongs to a collection's table besides its documents, as declared and as noted in the database.

use switchyard_database::Collection;
use tokio_postgres::types::Type;

use crate::fault::Outcome;
use crate::layout::described;
use crate::names::{STRUCTURES, literal, quoted};
use crate::read::column;
use crate::session::Session;
use crate::sql::Sql;

use super::where_structure;

/// Kinds of structures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A column and an index on it.
    Index,
    /// A column and a unique index on it.
    Unique,
    /// The table of search terms.
    Search,
    /// An index on the moment of expiry.
    Expiry,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Unique => "unique",
            Self::Search => "search",
            Self::Expiry => "expiry",
        }
    }
}

/// Something that is declared.
#[derive(Clone, Debug)]
pub(super) struct Structure {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// What it is made of: when that changes, it is built anew.
    pub(super) definition: String,
}

/// Something that is in the database.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) definition: String,
    pub(super) is_ready: bool,
}

impl Stored {
    /// Whether it has the structure's name.
    pub(super) fn names(&self, structure: &Structure) -> bool {
        self.kind == structure.kind.name() && self.name == structure.name
    }

    /// Whether it is the structure.
    pub(super) fn is(&self, structure: &Structure) -> bool {
        self.names(structure) && self.definition == structure.definition
    }
}

pub(super) fn declared(collection: &Collection) -> Vec<Structure> {
    let structure =
        |kind, name: &str, definition: String| Structure { kind, name: name.to_owned(), definition };
    let indexes = collection.indexes.iter().map(|index| {
        let (partition, sort) = (described(collection, index.partition), described(collection, index.sort));
        let definition = format!("{partition} / {sort}");
        structure(Kind::Index, index.name, definition)
    });
    let uniques = collection
        .uniques
        .iter()
        .map(|unique| structure(Kind::Unique, unique.name, described(collection, unique.fields)));
    let mut structures: Vec<_> = indexes.chain(uniques).collect();
    if !collection.search.is_empty() {
        structures.push(structure(Kind::Search, "", described(collection, collection.search)));
    }
    if collection.expiring {
        structures.push(structure(Kind::Expiry, "", String::new()));
    }
    structures
}

pub(super) async fn stored(session: &Session, collection: &Collection) -> Outcome<Vec<Stored>> {
    let sql = Sql::new(
        format!("select kind, name, definition, is_ready from {} where collection = $1", quoted(STRUCTURES)),
        &[Type::TEXT],
    );
    let rows = session.query(&sql, &[&collection.name]).await?;
    let stored = rows.iter().map(|row| {
        Ok(Stored {
            kind: column(row, 0, &STRUCTURES)?,
            name: column(row, 1, &STRUCTURES)?,
            definition: column(row, 2, &STRUCTURES)?,
            is_ready: column(row, 3, &STRUCTURES)?,
        })
    });
    stored.collect()
}

/// The statement that notes a structure as begun.
pub(super) fn note_begun(collection: &Collection, structure: &Structure) -> String {
    format!(
        "insert into {} values ({}, {}, {}, {}, false) on conflict (collection, kind, name) \
         do update set definition = excluded.definition, is_ready = false",
        quoted(STRUCTURES),
        literal(collection.name),
        literal(structure.kind.name()),
        literal(&structure.name),
        literal(&structure.definition)
    )
}

pub(super) async fn note_ready(
    session: &Session,
    collection: &Collection,
    structure: &Structure,
) -> Outcome<()> {
    let condition = where_structure(collection, structure.kind.name(), &structure.name);
    let text = format!("update {} set is_ready = true where {condition}", quoted(STRUCTURES));
    session.client().batch_execute(&text).await?;
    Ok(())
}

/// The statement that forgets a structure.
pub(super) fn forget(collection: &Collection, stored: &Stored) -> String {
    format!(
        "delete from {} where {}",
        quoted(STRUCTURES),
        where_structure(collection, &stored.kind, &stored.name)
    )
}
