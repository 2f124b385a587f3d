//! Helpers that the tests share.

use serde_json::Value;
use switchyard_ambient::Ambient;
use switchyard_database::{Batch, Collection, Field, Index, Key, Operation, Unique};

/// A collection with every kind of derived data.
pub(crate) const PEOPLE: &Collection = &Collection::new("people")
    .fields(&[
        Field::string("email"),
        Field::string("name"),
        Field::time("born_at"),
        Field::integer("visits"),
    ])
    .indexes(&[Index::new("by_birth").sort(&["born_at"])])
    .uniques(&[Unique::new("email", &["email"])])
    .search(&["name"])
    .counters(&["visits"])
    .expiring();

pub(crate) fn key(id: &str) -> Key {
    Key::new(PEOPLE, id).unwrap()
}

pub(crate) fn create(id: &str, body: Value) -> Operation {
    Operation::Create { key: key(id), body: body.as_object().unwrap().clone(), expires_at: None }
}

pub(crate) fn batch(operations: Vec<Operation>) -> Batch {
    Batch::new(operations, &Ambient::system()).unwrap()
}
