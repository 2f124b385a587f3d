//! Tests of guarantees that grouping commits must not change.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{PEOPLE, batch, create, key};
use futures::future::{FutureExt as _, join_all};
use serde_json::json;
use switchyard_ambient::{Ambient, ManualClock, SystemRandomness, Timestamp};
use switchyard_database::{Cause, Database, Error, Operation, Rejection, Schema, Search, UniqueKey};
use switchyard_sqlite::Sqlite;

async fn open(ambient: Ambient) -> Arc<Sqlite> {
    let sqlite = Sqlite::in_memory(ambient).unwrap();
    sqlite.migrate(&Schema::new([PEOPLE]).unwrap()).await.unwrap();
    Arc::new(sqlite)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_batches_that_create_one_document_one_is_applied_and_nothing_of_the_others() {
    let sqlite = open(Ambient::system()).await;
    let commits = (0..64).map(|number| {
        let sqlite = Arc::clone(&sqlite);
        let own = create(&format!("own-{number:02}"), json!({"visits": 0}));
        let contested = create("contested", json!({"visits": number}));
        tokio::spawn(async move { sqlite.commit(&batch(vec![own, contested])).await })
    });
    let outcomes = join_all(commits).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    let exists = Err(Error::Rejected(vec![Rejection {
        operation: 1,
        key: key("contested"),
        cause: Cause::AlreadyExists,
    }]));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(outcomes.iter().filter(|&outcome| *outcome == exists).count(), 63);

    let winner = outcomes.iter().position(Result::is_ok).unwrap();
    let contested = sqlite.get(&key("contested")).await.unwrap().unwrap();
    assert_eq!(contested.body["visits"], json!(winner));
    for number in 0..64 {
        let own = sqlite.get(&key(&format!("own-{number:02}"))).await.unwrap();
        assert_eq!(own.is_some(), number == winner, "own-{number:02}");
    }
}

#[tokio::test]
async fn a_cancelled_caller_loses_the_reply_but_not_the_transaction() {
    let sqlite = open(Ambient::system()).await;
    for number in 0..50 {
        let batch = batch(vec![create(&format!("p-{number:02}"), json!({"visits": number}))]);
        let _ = sqlite.commit(&batch).now_or_never();
    }
    // Jobs are done in the order in which they arrive.
    sqlite.commit(&batch(vec![create("last", json!({"visits": 0}))])).await.unwrap();
    for number in 0..50 {
        let document = sqlite.get(&key(&format!("p-{number:02}"))).await.unwrap();
        assert_eq!(document.map(|document| document.body["visits"].clone()), Some(json!(number)));
    }
}

#[tokio::test]
async fn accepted_writes_are_stored_when_the_handle_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let sqlite = Sqlite::open(&path, Ambient::system()).unwrap();
    sqlite.migrate(&Schema::new([PEOPLE]).unwrap()).await.unwrap();
    let _ = sqlite.commit(&batch(vec![create("p", json!({"visits": 1}))])).now_or_never();
    drop(sqlite);
    let reopened = Sqlite::open(&path, Ambient::system()).unwrap();
    assert_eq!(reopened.get(&key("p")).await.unwrap().unwrap().body["visits"], json!(1));
}

/// Counts stored rows, including rows that no read returns.
fn count(path: &std::path::Path, sql: &str) -> i64 {
    rusqlite::Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn nothing_is_left_of_an_expired_document_once_it_is_created_again_or_swept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let clock = ManualClock::at(Timestamp::from_seconds(1_000));
    let sqlite = Sqlite::open(&path, Ambient::new(clock.clone(), SystemRandomness)).unwrap();
    sqlite.migrate(&Schema::new([PEOPLE]).unwrap()).await.unwrap();
    let short = |id: &str, email: &str, name: &str| Operation::Create {
        key: key(id),
        body: json!({"email": email, "name": name, "born_at": 1, "visits": 0}).as_object().unwrap().clone(),
        expires_at: Some(Timestamp::from_seconds(1_001)),
    };
    let ada = short("a", "ada@example.com", "Ada King Lovelace");
    sqlite.commit(&batch(vec![ada, short("b", "bob@example.com", "Bob")])).await.unwrap();
    assert_eq!(count(&path, "SELECT count(*) FROM _people_terms"), 4);
    clock.advance(Duration::from_secs(1));

    // The first document is created again under its id, and the value of the second one is claimed.
    let claim = create("c", json!({"email": "bob@example.com", "visits": 0}));
    sqlite.commit(&batch(vec![create("a", json!({"name": "Ada", "visits": 0})), claim])).await.unwrap();
    assert_eq!(count(&path, "SELECT count(*) FROM _people_terms"), 2);
    let bob = UniqueKey::new(PEOPLE, "email", ["bob@example.com"]).unwrap();
    assert_eq!(sqlite.lookup(&bob).await.unwrap().unwrap().key, key("c"));
    assert_eq!(count(&path, "SELECT count(*) FROM people WHERE u_email IS NOT NULL"), 1);

    assert_eq!(sqlite.sweep_expired(10).await, Ok(1));
    assert_eq!(sqlite.sweep_expired(10).await, Ok(0));
    assert_eq!(count(&path, "SELECT count(*) FROM people"), 2);
    assert_eq!(count(&path, "SELECT count(*) FROM _people_terms"), 1);
    let found = sqlite.search(&Search::new(PEOPLE, "ada")).await.unwrap().documents;
    assert_eq!(found.into_iter().map(|document| document.key).collect::<Vec<_>>(), [key("a")]);
}

#[tokio::test]
async fn a_sweep_continues_until_it_has_removed_as_many_as_it_may() {
    let clock = ManualClock::at(Timestamp::from_seconds(1_000));
    let sqlite = open(Ambient::new(clock.clone(), SystemRandomness)).await;
    for number in 0..600 {
        let create = Operation::Create {
            key: key(&format!("p-{number}")),
            body: json!({"visits": 0}).as_object().unwrap().clone(),
            expires_at: Some(Timestamp::from_seconds(1_001)),
        };
        sqlite.commit(&batch(vec![create])).await.unwrap();
    }
    clock.advance(Duration::from_secs(1));
    assert_eq!(sqlite.sweep_expired(0).await, Ok(0));
    assert_eq!(sqlite.sweep_expired(501).await, Ok(501));
    assert_eq!(sqlite.sweep_expired(u32::MAX).await, Ok(99));
}
