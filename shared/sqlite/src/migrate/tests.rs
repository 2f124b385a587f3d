use serde_json::json;
use switchyard_database::{
    Batch, Cause, Field, Index, Key, Operation, Query, Rejection, Unique, Version, paging,
};

use super::*;
use crate::commit::Work;
use crate::pool::Pool;
use crate::ranges::StoredRanges;
use crate::statements::Tables;
use crate::{group, open, rows};

const PLAIN: &Collection = &Collection::new("people").expiring();
const FIELDS: &[Field] = &[Field::string("email"), Field::integer("age")];
const INDEXED: &Collection =
    &Collection::new("people").fields(FIELDS).indexes(&[Index::new("by_age").sort(&["age"])]).expiring();
const UNIQUE: &Collection =
    &Collection::new("people").fields(FIELDS).uniques(&[Unique::new("email", &["email"])]).expiring();

const NOW: Timestamp = Timestamp::from_seconds(1_000);

fn create(collection: &'static Collection, id: &str, email: &str, age: usize) -> Operation {
    let body = json!({"email": email, "age": age}).as_object().unwrap().clone();
    Operation::Create { key: Key::new(collection, id).unwrap(), body, expires_at: None }
}

fn commit(connection: &Connection, operations: Vec<Operation>) -> Result<Vec<Version>> {
    let ambient = Ambient::system();
    let work = Work::new(&Batch::new(operations, &ambient)?)?;
    group::commit(connection, &mut Tables::default(), [&work].into_iter(), &ambient)?.remove(0)
}

/// Stores `count` people of the ages 0, 1, 2, …, before anything about them is declared.
fn store(count: usize) -> Connection {
    let connection = open::in_memory().unwrap();
    lay_out(&connection, &[PLAIN]).unwrap();
    let people: Vec<_> =
        (0..count).map(|age| create(PLAIN, &format!("p-{age:04}"), &format!("e{age}"), age)).collect();
    for some in people.chunks(100) {
        commit(&connection, some.to_vec()).unwrap();
    }
    connection
}

fn fill(connection: &Connection, collection: &'static Collection) -> Result<usize> {
    let mut steps = 1;
    while fill_some(connection, collection, NOW)? {
        steps += 1;
    }
    Ok(steps)
}

fn versions(connection: &Connection) -> Vec<(String, Vec<u8>)> {
    let mut statement = connection.prepare("SELECT id, version FROM people ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(rusqlite::Result::unwrap).collect()
}

async fn ids_by_age(connection: Connection) -> Vec<String> {
    let (readers, ambient) = (Pool::new(vec![connection]), Ambient::system());
    let ranges = StoredRanges { readers: &readers, ambient: &ambient };
    let page = paging::query(&ranges, &Query::new(INDEXED, "by_age").limit(1000)).await.unwrap();
    page.documents.into_iter().map(|document| document.key.id().to_owned()).collect()
}

#[tokio::test]
async fn documents_are_entered_a_few_at_a_time_and_keep_their_versions() {
    let connection = store(600);
    let before = versions(&connection);
    lay_out(&connection, &[INDEXED]).unwrap();
    assert_eq!(fill(&connection, INDEXED), Ok(4)); // 250, 250, 100, and an empty step
    assert_eq!(fill(&connection, INDEXED), Ok(1));
    assert_eq!(versions(&connection), before);
    let expected: Vec<_> = (0..600).map(|age| format!("p-{age:04}")).collect();
    assert_eq!(ids_by_age(connection).await, expected);
}

#[tokio::test]
async fn an_interrupted_migration_continues_where_it_stopped() {
    let connection = store(600);
    lay_out(&connection, &[INDEXED]).unwrap();
    assert_eq!(fill_some(&connection, INDEXED, NOW).map_err(Error::from), Ok(true));
    // The process ends here, and the next one starts from the beginning.
    lay_out(&connection, &[INDEXED]).unwrap();
    assert_eq!(fill(&connection, INDEXED), Ok(3)); // 250, 100, and an empty step
    assert_eq!(ids_by_age(connection).await.len(), 600);
}

#[tokio::test]
async fn documents_committed_during_a_migration_are_entered_in_their_new_state() {
    let connection = store(300);
    let read = |id: &str| {
        rows::get(&connection, &Key::new(INDEXED, id).unwrap(), NOW).map_err(Error::from).unwrap().unwrap()
    };
    lay_out(&connection, &[INDEXED]).unwrap();
    let aged = |id: &str, age: i64| {
        let body = json!({"age": age}).as_object().unwrap().clone();
        Operation::Replace { previous: read(id), body, expires_at: None }
    };
    // Changes before the first step.
    commit(&connection, vec![aged("p-0000", 5_000), aged("p-0299", 6_000)]).unwrap();
    assert_eq!(fill_some(&connection, INDEXED, NOW).map_err(Error::from), Ok(true));
    // Changes before and after the position that the first step has reached.
    let changes = vec![
        aged("p-0001", 7_000),
        aged("p-0298", 8_000),
        Operation::Delete { previous: read("p-0002") },
        Operation::Delete { previous: read("p-0297") },
        create(INDEXED, "a-new", "new", 9_000),
        create(INDEXED, "z-new", "newer", 10_000),
    ];
    commit(&connection, changes).unwrap();
    assert_eq!(fill(&connection, INDEXED), Ok(2));
    let mut expected: Vec<_> = (3..297).map(|age| format!("p-{age:04}")).collect();
    expected.extend(["p-0000", "p-0299", "p-0001", "p-0298", "a-new", "z-new"].map(str::to_owned));
    assert_eq!(ids_by_age(connection).await, expected);
}

#[test]
fn a_duplicate_value_of_a_new_unique_attribute_is_reported_with_both_documents() {
    let connection = store(300);
    commit(&connection, vec![create(PLAIN, "q", "e7", 0)]).unwrap();
    lay_out(&connection, &[UNIQUE]).unwrap();
    let refused = |one, other| Err(Error::not_unique(UNIQUE, "email", one, other));
    assert_eq!(fill(&connection, UNIQUE), refused("p-0007", "q"));
    // A program that does not declare the attribute continues, and its writes are checked again.
    let read =
        |id: &str| rows::get(&connection, &Key::new(PLAIN, id).unwrap(), NOW).map_err(Error::from).unwrap();
    let Some(q) = read("q") else { panic!("the document exists") };
    commit(&connection, vec![Operation::Delete { previous: q }, create(PLAIN, "a", "e8", 0)]).unwrap();
    assert_eq!(fill(&connection, UNIQUE), refused("p-0008", "a"));
    let Some(a) = read("a") else { panic!("the document exists") };
    commit(&connection, vec![Operation::Delete { previous: a }]).unwrap();
    assert_eq!(fill(&connection, UNIQUE), Ok(3));
    let key = Key::new(UNIQUE, "x").unwrap();
    let taken = Rejection { operation: 0, key, cause: Cause::UniqueTaken { attribute: "email" } };
    let outcome = commit(&connection, vec![create(UNIQUE, "x", "e299", 0)]);
    assert_eq!(outcome, Err(Error::Rejected(vec![taken])));
}

fn schema_of(connection: &Connection) -> Vec<String> {
    let mut statement = connection.prepare("SELECT name FROM sqlite_schema ORDER BY name").unwrap();
    let names: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(rusqlite::Result::unwrap).collect();
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info('people')").unwrap();
    let columns = statement.query_map([], |row| row.get(0)).unwrap().map(rusqlite::Result::unwrap);
    names.into_iter().chain(columns).collect()
}

#[test]
fn parts_that_are_no_longer_declared_are_dropped() {
    const SEARCHED: &Collection = &Collection::new("people").fields(FIELDS).search(&["email"]).expiring();
    let connection = store(3);
    let bare = schema_of(&connection);
    for collection in [INDEXED, UNIQUE, SEARCHED] {
        lay_out(&connection, &[collection]).unwrap();
        assert_eq!(fill(&connection, collection), Ok(2));
        assert_ne!(schema_of(&connection), bare);
        drop_undeclared(&connection, &[PLAIN]).unwrap();
        assert_eq!(schema_of(&connection), bare);
    }
}

#[test]
fn migrating_again_writes_nothing() {
    let connection = store(3);
    lay_out(&connection, &[INDEXED]).unwrap();
    assert_eq!(fill(&connection, INDEXED), Ok(2));
    let changes = connection.total_changes();
    let schema_version = |connection: &Connection| -> i64 {
        connection.pragma_query_value(None, "schema_version", |row| row.get(0)).unwrap()
    };
    let before = schema_version(&connection);
    lay_out(&connection, &[INDEXED]).unwrap();
    assert_eq!(fill(&connection, INDEXED), Ok(1));
    drop_undeclared(&connection, &[INDEXED]).unwrap();
    assert_eq!((connection.total_changes(), schema_version(&connection)), (changes, before));
}
