//! Tests of a server that crashes under load, because all its processes are killed or because one of them dies.
//!
//! `SWITCHYARD_TEST_CRASHES` sets the number of crashes; the default is four. Use `cargo test` for longer runs,
//! because nextest ends a test that takes minutes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use switchyard_ambient::Ambient;
use switchyard_database::{
    Batch, Collection, Database as _, Document, Error, Field, Index, Key, Operation, Query, Scan, Schema,
    Search, Unique, UniqueKey, Version,
};
use switchyard_postgres::Postgres;

use common::proxy::Proxy;
use common::server::Server;
use common::until;

const ACCOUNTS: &Collection =
    &Collection::new("accounts").fields(&[Field::integer("balance")]).counters(&["balance"]);
const PAPERS: &Collection = &Collection::new("papers")
    .fields(&[Field::string("number"), Field::integer("writer"), Field::integer("turn")])
    .indexes(&[Index::new("of_writer").partition(&["writer"]).sort(&["turn"])])
    .uniques(&[Unique::new("number", &["number"])])
    .search(&["number"]);

const WRITERS: usize = 12;
/// The number of answered commits between two crashes.
const COMMITS: u64 = 150;

fn account(writer: usize) -> Key {
    Key::new(ACCOUNTS, writer.to_string()).unwrap()
}

/// An account that is incremented without being read, so that it cannot be determined whether a lost increment was
/// applied.
fn visitors() -> Key {
    Key::new(ACCOUNTS, "visitors").unwrap()
}

fn add(key: Key, by: i64) -> Operation {
    Operation::Increment { key, field: "balance", by, at_least: None }
}

fn open(key: Key) -> Operation {
    Operation::Create { key, body: json!({"balance": 0}).as_object().unwrap().clone(), expires_at: None }
}

fn paper(id: &str) -> Key {
    Key::new(PAPERS, id).unwrap()
}

fn write_paper(id: &str, number: &str, writer: usize, turn: i64) -> Operation {
    let body = json!({"number": number, "writer": writer, "turn": turn}).as_object().unwrap().clone();
    Operation::Create { key: paper(id), body, expires_at: None }
}

/// The state and the counters that all writers share.
struct Load {
    database: Postgres,
    ambient: Ambient,
    is_over: AtomicBool,
    answered: AtomicU64,
    unknown: AtomicU64,
    refused: AtomicU64,
    visits: AtomicU64,
    lost_visits: AtomicU64,
}

impl Load {
    /// Commits, and retries while nothing was applied. Returns `None` if the outcome is unknown. Every other error
    /// is a failure, because no other caller writes these documents.
    async fn commit(&self, operations: Vec<Operation>) -> Option<Vec<Version>> {
        let batch = Batch::new(operations, &self.ambient).unwrap();
        loop {
            match self.database.commit(&batch).await {
                Ok(versions) => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    return Some(versions);
                }
                Err(Error::OutcomeUnknown(_)) => {
                    self.unknown.fetch_add(1, Ordering::Relaxed);
                    return None;
                }
                Err(error) => self.wait_after(&error).await,
            }
        }
    }

    async fn get(&self, key: &Key) -> Option<Document> {
        loop {
            match self.database.get(key).await {
                Ok(found) => return found,
                Err(error) => self.wait_after(&error).await,
            }
        }
    }

    async fn holder(&self, number: &str) -> Option<String> {
        let unique = UniqueKey::new(PAPERS, "number", [number]).unwrap();
        loop {
            match self.database.lookup(&unique).await {
                Ok(found) => return found.map(|document| document.key.id().to_owned()),
                Err(error) => self.wait_after(&error).await,
            }
        }
    }

    async fn wait_after(&self, error: &Error) {
        assert!(error.is_retryable(), "{error:?}");
        self.refused.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.ambient.jitter(Duration::from_millis(20))).await;
    }
}

/// The papers of a writer, with the version that each commit returned, or `None` if its outcome is unknown.
type Papers = BTreeMap<String, Option<Version>>;

fn moving(writer: usize) -> String {
    format!("moving{writer}")
}

fn first_holder(writer: usize) -> String {
    format!("m{writer}")
}

/// Returns the papers that it wrote, and the paper that holds the moving value.
async fn write(load: Arc<Load>, writer: usize) -> (Papers, String) {
    let (mut papers, mut holder) = (Papers::new(), first_holder(writer));
    for turn in 0.. {
        if load.is_over.load(Ordering::Relaxed) {
            break;
        }
        // A transfer with a receipt, which exists if and only if the transfer was applied.
        let id = format!("t{writer}n{turn}");
        let next = account((writer + 1) % WRITERS);
        let transfer = vec![add(account(writer), -1), add(next, 1), write_paper(&id, &id, writer, turn)];
        papers.insert(id.clone(), load.commit(transfer).await.map(|versions| versions[2]));

        let single = format!("s{writer}n{turn}");
        let version = load.commit(vec![write_paper(&single, &single, writer, turn)]).await;
        papers.insert(single.clone(), version.map(|versions| versions[0]));

        match load.commit(vec![add(visitors(), 1)]).await {
            Some(_) => load.visits.fetch_add(1, Ordering::Relaxed),
            None => load.lost_visits.fetch_add(1, Ordering::Relaxed),
        };

        // A unique value moves from one paper to the next, and is always held by exactly one of them.
        let previous = load.get(&paper(&holder)).await.expect("the holder exists");
        let next = format!("m{writer}n{turn}");
        let moves = vec![Operation::Delete { previous }, write_paper(&next, &moving(writer), writer, -1)];
        let is_moved = load.commit(moves).await.is_some();
        let held = load.holder(&moving(writer)).await.expect("the value is held by one of the two");
        assert!(
            held == next || (held == holder && !is_moved),
            "{held} holds the value that moved from {holder} to {next}"
        );
        holder = held;

        // Answered writes are visible at once, even after a crash.
        for id in [&id, &single] {
            if let Some(version) = papers[id] {
                assert_eq!(
                    load.get(&paper(id)).await.map(|document| document.version),
                    Some(version),
                    "{id}"
                );
                assert_eq!(load.holder(id).await.as_ref(), Some(id));
            }
        }
    }
    (papers, holder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_under_load_keeps_answered_commits_and_no_half_applied_ones() {
    let crashes: u32 = std::env::var("SWITCHYARD_TEST_CRASHES").map_or(4, |count| count.parse().unwrap());
    let server = Server::start().await;
    let ambient = Ambient::system();
    let database = Postgres::connect(&server.url, ambient.clone()).await.unwrap();
    database.migrate(&Schema::new([ACCOUNTS, PAPERS]).unwrap()).await.unwrap();
    let accounts = (0..WRITERS).map(account).chain([visitors()]).map(open);
    let holders = (0..WRITERS).map(|writer| write_paper(&first_holder(writer), &moving(writer), writer, -1));
    database.commit(&Batch::new(accounts.chain(holders).collect(), &ambient).unwrap()).await.unwrap();

    let load = Arc::new(Load {
        database,
        ambient,
        is_over: AtomicBool::new(false),
        answered: AtomicU64::default(),
        unknown: AtomicU64::default(),
        refused: AtomicU64::default(),
        visits: AtomicU64::default(),
        lost_visits: AtomicU64::default(),
    });
    let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(&load), writer))).collect();
    for crash in 0..crashes {
        let enough = load.answered.load(Ordering::Relaxed) + COMMITS;
        until(async || {
            assert!(!writers.iter().any(tokio::task::JoinHandle::is_finished), "a writer ended too early");
            load.answered.load(Ordering::Relaxed) >= enough
        })
        .await;
        match crash % 2 {
            0 => server.crash().await,
            _ => server.crash_one_process().await,
        }
    }
    load.is_over.store(true, Ordering::Relaxed);
    let (mut papers, mut holders) = (Papers::new(), BTreeSet::new());
    for writer in writers {
        let (written, holder) = writer.await.unwrap();
        papers.extend(written);
        holders.insert(holder);
    }
    let (done, undone) = expect_whole(&load, &papers, &holders).await;
    println!(
        "{crashes} crashes, {} answered commits, {} of unknown outcome (papers: {done} stored, {undone} not), \
         {} refusals",
        load.answered.load(Ordering::Relaxed),
        load.unknown.load(Ordering::Relaxed),
        load.refused.load(Ordering::Relaxed),
    );
}

/// Asserts that every answered write is stored once and that all ways to read it agree. Returns how many writes of
/// unknown outcome were stored, and how many were not.
async fn expect_whole(load: &Load, papers: &Papers, holders: &BTreeSet<String>) -> (usize, usize) {
    let mut stored = BTreeMap::new();
    let mut scan = Scan::new(PAPERS).limit(1000);
    loop {
        let page = load.database.scan(&scan).await.unwrap();
        for document in page.documents {
            assert!(
                stored.insert(document.key.id().to_owned(), document).is_none(),
                "a document is listed twice"
            );
        }
        scan.cursor = page.next;
        if scan.cursor.is_none() {
            break;
        }
    }
    let is_known = |id: &&String| papers.contains_key(*id) || holders.contains(*id);
    assert_eq!(stored.keys().find(|id| !is_known(id)), None, "a document was never written, or was deleted");
    for (id, version) in papers {
        let found = stored.get(id);
        if version.is_some() {
            assert_eq!(found.map(|document| document.version), *version, "{id}");
        }
        // The unique value and the terms are stored if and only if their document is.
        let is_there = found.is_some();
        assert_eq!(load.holder(id).await.is_some(), is_there, "{id}");
        let search = Search::new(PAPERS, id).limit(1000);
        let found = load.database.search(&search).await.unwrap();
        assert_eq!(found.documents.iter().any(|document| document.key.id() == id), is_there, "{id}");
    }
    let mut indexed = BTreeSet::new();
    for writer in 0..WRITERS {
        let mut query =
            Query::new(PAPERS, "of_writer").partition([i64::try_from(writer).unwrap()]).limit(1000);
        loop {
            let page = load.database.query(&query).await.unwrap();
            for document in page.documents {
                assert!(indexed.insert(document.key.id().to_owned()), "{} is listed twice", document.key);
            }
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
    }
    assert!(indexed.iter().eq(stored.keys()), "the index and the documents differ");

    let transfers = |writer: usize| {
        let prefix = format!("t{writer}n");
        i64::try_from(stored.keys().filter(|id| id.starts_with(&prefix)).count()).unwrap()
    };
    let balance = async |key: Key| load.get(&key).await.unwrap().body["balance"].as_i64().unwrap();
    for writer in 0..WRITERS {
        let expected = transfers((writer + WRITERS - 1) % WRITERS) - transfers(writer);
        assert_eq!(balance(account(writer)).await, expected, "account {writer}");
    }
    let sure = i64::try_from(load.visits.load(Ordering::Relaxed)).unwrap();
    let possible = sure..=sure + i64::try_from(load.lost_visits.load(Ordering::Relaxed)).unwrap();
    let visits = balance(visitors()).await;
    assert!(possible.contains(&visits), "{visits} is not in {possible:?}");

    let unsure = || papers.iter().filter(|(_, version)| version.is_none());
    let done = unsure().filter(|(id, _)| stored.contains_key(*id)).count();
    (done, unsure().count() - done)
}

/// After a crash the server reuses the numbers of transactions of which nothing had reached the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_number_that_was_reused_after_a_crash_does_not_prove_a_commit() {
    let server = Server::start().await;
    let ambient = Ambient::system();
    let proxy = Proxy::before(server.url.clone()).await;
    let database = Postgres::connect(&proxy.url(), ambient.clone()).await.unwrap();
    database.migrate(&Schema::new([ACCOUNTS]).unwrap()).await.unwrap();
    let opening = vec![open(account(0)), open(account(1))];
    database.commit(&Batch::new(opening, &ambient).unwrap()).await.unwrap();
    // The server crashes when the transaction has its number and is about to write.
    let client = server.client().await.unwrap();
    client
        .batch_execute(
            "create function wait() returns trigger language plpgsql as \
             $$ begin perform pg_advisory_xact_lock(1); return new; end $$; \
             create trigger wait before update on accounts for each row execute function wait(); \
             select pg_advisory_lock(1)",
        )
        .await
        .unwrap();
    let batch = Batch::new(vec![add(account(0), 1), add(account(1), 1)], &ambient).unwrap();
    let writer = database.clone();
    let committing = tokio::spawn(async move { writer.commit(&batch).await });
    let mut number = None;
    until(async || {
        let waiting = "select backend_xid::text::bigint from pg_stat_activity where wait_event = 'advisory'";
        number = client.query_opt(waiting, &[]).await.unwrap().map(|row| row.get::<_, i64>(0));
        number.is_some()
    })
    .await;
    // The outcome is not looked up before another transaction has the number.
    proxy.set_open(false);
    server.crash_one_process().await;
    // Until the server has noticed the crash, it would continue counting.
    until(async || client.is_closed()).await;
    until(async || {
        let Ok(client) = server.client().await else { return false };
        let next = client.query_one("select pg_current_xact_id()::text::bigint", &[]).await;
        next.is_ok_and(|row| Some(row.get(0)) >= number)
    })
    .await;
    proxy.set_open(true);
    let outcome = committing.await.unwrap();
    let mut balances = Vec::new();
    for account in [account(0), account(1)] {
        balances.push(database.get(&account).await.unwrap().unwrap().body["balance"].clone());
    }
    assert_eq!(balances, [0, 0]);
    assert!(matches!(outcome, Err(Error::OutcomeUnknown(_))), "{outcome:?}");
}
