//! Tests of opening files and sharing them between handles.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{PEOPLE, batch, create, key};
use serde_json::json;
use switchyard_ambient::Ambient;
use switchyard_database::{Collection, Database, Error, Field, Index, Key, Operation, Query, Schema};
use switchyard_sqlite::Sqlite;

fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, Ambient::system()).unwrap()
}

fn fault_of(path: &Path) -> String {
    Sqlite::open(path, Ambient::system()).unwrap_err().to_string()
}

#[tokio::test]
async fn the_folder_is_created_and_a_closed_database_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("a/b");
    let sqlite = open(&inner.join("store.db"));
    sqlite.migrate(&Schema::new([PEOPLE]).unwrap()).await.unwrap();
    sqlite.commit(&batch(vec![create("p", json!({"visits": 0}))])).await.unwrap();
    sqlite.ping().await.unwrap();
    drop(sqlite);
    let names: Vec<_> = fs::read_dir(&inner).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["store.db"]);
    assert!(open(&inner.join("store.db")).get(&key("p")).await.unwrap().is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn new_files_are_accessible_only_to_their_owner_and_existing_ones_keep_their_mode() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let modes = || {
        let entries = fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
        let mut modes: Vec<_> = entries
            .map(|entry| {
                (entry.file_name(), format!("{:o}", entry.metadata().unwrap().permissions().mode() & 0o777))
            })
            .collect();
        modes.sort();
        modes
    };
    let sqlite = open(&folder.path().join("store.db"));
    sqlite.migrate(&Schema::new([PEOPLE]).unwrap()).await.unwrap();
    let expected = ["store.db", "store.db-shm", "store.db-wal"].map(|name| (name.into(), "600".to_owned()));
    assert_eq!(modes(), expected);
    drop(sqlite);

    fs::set_permissions(folder.path().join("store.db"), fs::Permissions::from_mode(0o640)).unwrap();
    let _sqlite = open(&folder.path().join("store.db"));
    assert_eq!(modes()[0].1, "640");
}

#[test]
fn an_unusable_database_file_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a database, and long enough that SQLite does not take it for an empty one")
        .unwrap();
    assert_eq!(
        fault_of(&file.join("store.db")),
        format!(
            "the database is not available: the database file {:?} cannot be used: its folder cannot be created: File \
             exists (os error 17)",
            file.join("store.db")
        )
    );
    assert_eq!(
        fault_of(folder.path()),
        format!(
            "the database is not available: the database file {:?} cannot be used: the file cannot be opened for writing: \
             unable to open database file: {}",
            folder.path(),
            folder.path().display()
        )
    );
    assert_eq!(
        fault_of(&file),
        format!("the stored data is damaged: the database file {file:?}: file is not a database")
    );
}

#[test]
fn the_database_of_another_program_is_refused_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE people (name TEXT)").unwrap();
    let before = fs::read(&path).unwrap();
    assert_eq!(fault_of(&path), format!("invalid: the database file {path:?} belongs to another program"));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn databases_in_memory_are_independent() {
    let first = Sqlite::in_memory(Ambient::system()).unwrap();
    let second = Sqlite::in_memory(Ambient::system()).unwrap();
    for sqlite in [&first, &second] {
        sqlite.migrate(&Schema::new([PEOPLE]).unwrap()).await.unwrap();
    }
    first.commit(&batch(vec![create("p", json!({"visits": 0}))])).await.unwrap();
    assert_eq!(second.get(&key("p")).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_handles_with_their_own_writers_count_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let handles = [Arc::new(open(&path)), Arc::new(open(&path))];
    handles[0].migrate(&Schema::new([PEOPLE]).unwrap()).await.unwrap();
    handles[0].commit(&batch(vec![create("p", json!({"visits": 0}))])).await.unwrap();
    let writers = (0..8).map(|number| {
        let sqlite = Arc::clone(&handles[number % 2]);
        tokio::spawn(async move {
            for _ in 0..25 {
                let increment =
                    Operation::Increment { key: key("p"), field: "visits", by: 1, at_least: None };
                sqlite.commit(&batch(vec![increment])).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for sqlite in &handles {
        assert_eq!(sqlite.get(&key("p")).await.unwrap().unwrap().body["visits"], json!(200));
    }
}

const OLD: &Collection = &Collection::new("people").fields(&[Field::string("name")]).search(&["name"]);
const NEW: &Collection = &Collection::new("people")
    .fields(&[Field::string("name")])
    .indexes(&[Index::new("by_name").sort(&["name"])]);

fn old(id: &str, name: &str) -> Operation {
    let body = json!({"name": name}).as_object().unwrap().clone();
    Operation::Create { key: Key::new(OLD, id).unwrap(), body, expires_at: None }
}

async fn by_name(sqlite: &Sqlite) -> Vec<String> {
    let page = sqlite.query(&Query::new(NEW, "by_name")).await.unwrap();
    page.documents.into_iter().map(|document| document.key.id().to_owned()).collect()
}

#[tokio::test]
async fn a_missing_migration_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (one, other) = (open(&path), open(&path));
    one.migrate(&Schema::new([OLD]).unwrap()).await.unwrap();
    one.commit(&batch(vec![old("a", "Ada")])).await.unwrap();
    other.migrate(&Schema::new([NEW]).unwrap()).await.unwrap();
    let lacking =
        "the stored tables of `people` lack parts that this program declares; run the migration first"
            .to_owned();
    assert_eq!(one.commit(&batch(vec![old("b", "Bob")])).await, Err(Error::Internal(lacking)));

    const UNKNOWN: &Collection = &Collection::new("unknown");
    let mismatch = "the stored tables do not match the declared collections; run the migration first: no such \
                    table: unknown";
    let unknown = one.get(&Key::new(UNKNOWN, "u").unwrap()).await.unwrap_err();
    assert!(matches!(&unknown, Error::Internal(text) if text.starts_with(mismatch)), "{unknown:?}");
}

#[tokio::test]
async fn parts_that_one_program_does_not_declare_are_filled_again_by_a_program_that_does() {
    const PLAIN: &Collection = &Collection::new("people");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (plain, new) = (open(&path), open(&path));
    new.migrate(&Schema::new([NEW]).unwrap()).await.unwrap();
    new.commit(&batch(
        vec![old("a", "Ada"), old("b", "Bob"), old("c", "Cy")].into_iter().map(as_new).collect(),
    ))
    .await
    .unwrap();
    let a = plain.get(&Key::new(PLAIN, "a").unwrap()).await.unwrap().unwrap();
    let b = plain.get(&Key::new(PLAIN, "b").unwrap()).await.unwrap().unwrap();
    let zoe = json!({"name": "Zoe"}).as_object().unwrap().clone();
    let replace = Operation::Replace { previous: a, body: zoe, expires_at: None };
    plain.commit(&batch(vec![replace, Operation::Delete { previous: b }])).await.unwrap();
    assert_eq!(by_name(&new).await, ["c"]);
    new.migrate(&Schema::new([NEW]).unwrap()).await.unwrap();
    assert_eq!(by_name(&new).await, ["c", "a"]);
}

fn as_new(operation: Operation) -> Operation {
    match operation {
        Operation::Create { key, body, expires_at } => {
            Operation::Create { key: Key::new(NEW, key.id()).unwrap(), body, expires_at }
        }
        other => other,
    }
}

#[tokio::test]
async fn the_view_shows_declared_fields_as_columns_and_times_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let sqlite = open(&path);
    sqlite.migrate(&Schema::new([PEOPLE]).unwrap()).await.unwrap();
    let body =
        json!({"email": "ada@example.com", "name": "Ada", "born_at": 1_700_000_000_123_999_i64, "visits": 3});
    sqlite.commit(&batch(vec![create("p", body)])).await.unwrap();
    let sql = "SELECT id, email, name, born_at, visits, length(_version), _expires_at FROM _people_view";
    let row = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row(sql, [], |row| {
            let texts = [row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
            Ok((texts, row.get::<_, i64>(4)?, row.get::<_, i64>(5)?, row.get::<_, Option<String>>(6)?))
        })
        .unwrap();
    let texts = ["p", "ada@example.com", "Ada", "2023-11-14T22:13:20.123Z"].map(str::to_owned);
    assert_eq!(row, (texts, 3, 32, None));
}
