//! Kills a process while it writes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::{env, fs, io};

use common::{PEOPLE, batch, create, key};
use serde_json::json;
use switchyard_ambient::Ambient;
use switchyard_database::{Database, Operation, Query, Scan, Schema, Search, UniqueKey};
use switchyard_sqlite::Sqlite;

const FILE: &str = "SWITCHYARD_TEST_CRASH_FILE";
const ROUND: &str = "SWITCHYARD_TEST_CRASH_ROUND";
const WRITERS: usize = 8;
/// The number of commits that a round waits for before the kill.
const COMMITS: usize = 60;

/// The process that is killed. Each commit moves a visit from one of two counters to the other and creates a
/// person. The id of the person is printed once the commit is answered.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the test below starts it, and it never ends by itself"]
async fn writes_until_it_is_killed() {
    let (Ok(file), Ok(round)) = (env::var(FILE), env::var(ROUND)) else { return };
    let sqlite = Arc::new(Sqlite::open(file, Ambient::system()).unwrap());
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(Arc::clone(&sqlite), format!("{round}-{writer}"))))
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn write(sqlite: Arc<Sqlite>, name: String) {
    for number in 0.. {
        let id = format!("{name}-{number}");
        let add =
            |counter, by| Operation::Increment { key: key(counter), field: "visits", by, at_least: None };
        let body = json!({"email": id, "name": format!("word {id}"), "born_at": number, "visits": 1});
        let operations = vec![add("from", -1), add("to", 1), create(&id, body)];
        sqlite.commit(&batch(operations)).await.unwrap();
        println!("\ncommitted {id}");
    }
}

/// Starts the writers, kills them when they have committed enough, and returns the ids whose commits were
/// answered.
fn run_and_kill(file: &Path, round: usize) -> BTreeSet<String> {
    let mut child: Child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FILE, file)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answered = BTreeSet::new();
    for line in lines.map_while(io::Result::ok) {
        if let Some(id) = line.strip_prefix("committed ") {
            answered.insert(id.to_owned());
        }
        if answered.len() == COMMITS {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    answered
}

async fn visits(sqlite: &Sqlite, id: &str) -> i64 {
    sqlite.get(&key(id)).await.unwrap().unwrap().body["visits"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn answered_commits_survive_a_kill_and_no_commit_is_half_applied() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let sqlite = Sqlite::open(&file, Ambient::system()).unwrap();
    sqlite.migrate(&Schema::new([PEOPLE]).unwrap()).await.unwrap();
    let counters = ["from", "to"].map(|id| create(id, json!({"visits": 0})));
    sqlite.commit(&batch(counters.into())).await.unwrap();
    drop(sqlite);

    let mut answered = BTreeSet::new();
    for round in 0..3 {
        answered.extend(run_and_kill(&file, round));
        let log = fs::metadata(folder.path().join("store.db-wal")).map_or(0, |log| log.len());
        assert!(log > 0, "the kill leaves a log to recover from");

        let sqlite = Sqlite::open(&file, Ambient::system()).unwrap();
        let mut found = BTreeSet::new();
        let mut scan = Scan::new(PEOPLE);
        loop {
            let page = sqlite.scan(&scan).await.unwrap();
            found.extend(page.documents.into_iter().map(|document| document.key.id().to_owned()));
            scan.cursor = page.next;
            if scan.cursor.is_none() {
                break;
            }
        }
        found.retain(|id| id.contains('-'));
        assert_eq!(answered.difference(&found).next(), None, "an answered commit is lost");
        // A commit is stored with both counters or not at all.
        let total = i64::try_from(found.len()).unwrap();
        assert_eq!((visits(&sqlite, "from").await, visits(&sqlite, "to").await), (-total, total));
        // Derived data is stored for these documents, and only for them.
        for id in &found {
            let email = UniqueKey::new(PEOPLE, "email", [id]).unwrap();
            assert_eq!(sqlite.lookup(&email).await.unwrap().unwrap().key.id(), id);
        }
        let indexed = Query::new(PEOPLE, "by_birth").limit(1000);
        assert_eq!(sqlite.query(&indexed).await.unwrap().documents.len(), found.len().min(1000));
        let worded = Search::new(PEOPLE, "word").limit(1000);
        assert_eq!(sqlite.search(&worded).await.unwrap().documents.len(), found.len().min(1000));
    }
    let check: String = rusqlite::Connection::open(&file)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}
