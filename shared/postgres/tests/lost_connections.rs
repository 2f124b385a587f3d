//! Tests of connections that break before a request is sent, in the middle of a statement, or during the commit.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use switchyard_ambient::Ambient;
use switchyard_database::{
    Addition, Batch, Body, Cause, Collection, Database as _, Document, Error, Expect, Field, Key, Operation,
    Rejection, Schema, Unique, Version,
};
use switchyard_postgres::Postgres;

use common::proxy::{Cut, Proxy};
use common::{TestSchema, until};

const STOCK: &Collection = &Collection::new("stock")
    .fields(&[Field::integer("left"), Field::string("name")])
    .uniques(&[Unique::new("name", &["name"])])
    .search(&["name"])
    .counters(&["left"]);

/// A database that is reached through a proxy.
struct Setting {
    schema: TestSchema,
    proxy: Proxy,
    database: Postgres,
    ambient: Ambient,
}

impl Setting {
    async fn new() -> Self {
        let schema = TestSchema::create().await;
        let proxy = Proxy::start().await;
        let ambient = Ambient::system();
        let url = schema.at(&proxy.url(), "max_connections=1");
        let database = Postgres::connect(&url, ambient.clone()).await.unwrap();
        database.migrate(&Schema::new([STOCK]).unwrap()).await.unwrap();
        Self { schema, proxy, database, ambient }
    }

    fn batch(&self, operations: Vec<Operation>) -> Batch {
        Batch::new(operations, &self.ambient).unwrap()
    }

    async fn commit(&self, operations: Vec<Operation>) -> Result<Vec<Version>, Error> {
        self.database.commit(&self.batch(operations)).await
    }

    async fn get(&self, id: &str) -> Option<Document> {
        self.database.get(&key(id)).await.unwrap()
    }

    async fn stored(&self, id: &str, left: i64) -> Document {
        self.commit(vec![create(id, left)]).await.unwrap();
        self.get(id).await.unwrap()
    }

    async fn close(self) {
        self.schema.drop().await;
    }
}

fn key(id: &str) -> Key {
    Key::new(STOCK, id).unwrap()
}

fn body(id: &str, left: i64) -> Body {
    json!({"left": left, "name": format!("name of {id}")}).as_object().unwrap().clone()
}

fn create(id: &str, left: i64) -> Operation {
    Operation::Create { key: key(id), body: body(id, left), expires_at: None }
}

fn replace(previous: &Document, left: i64) -> Operation {
    Operation::Replace { body: body(previous.key.id(), left), previous: previous.clone(), expires_at: None }
}

fn increment(id: &str, by: i64) -> Operation {
    Operation::Increment { key: key(id), field: "left", by, at_least: None }
}

fn left(document: &Document) -> i64 {
    document.body["left"].as_i64().unwrap()
}

#[tokio::test]
async fn a_connection_that_broke_while_idle_is_replaced_without_an_error() {
    let setting = Setting::new().await;
    let stored = setting.stored("a", 1).await;
    setting.proxy.cut_all();
    // The network takes a moment to report that the connection has ended.
    tokio::time::sleep(Duration::from_millis(50)).await;
    setting.commit(vec![increment("a", 1)]).await.unwrap();
    setting.proxy.cut_all();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let read = setting.get("a").await.unwrap();
    assert_eq!((left(&read), read.version == stored.version), (2, false));
    setting.close().await;
}

#[tokio::test]
async fn a_read_whose_reply_is_lost_is_retried() {
    let setting = Setting::new().await;
    let stored = setting.stored("a", 1).await;
    for cut in [Cut::Before, Cut::After, Cut::Reply] {
        setting.proxy.set_trap("a", cut);
        assert_eq!(setting.get("a").await, Some(stored.clone()));
        assert!(setting.proxy.has_struck());
    }
    setting.close().await;
}

#[tokio::test]
async fn a_replacement_whose_reply_is_lost_is_applied_once() {
    let setting = Setting::new().await;
    for (place, cut) in [Cut::Before, Cut::After, Cut::Reply].into_iter().enumerate() {
        let id = format!("cut-{place}");
        let stored = setting.stored(&id, 1).await;
        setting.proxy.set_trap(&id, cut);
        let versions = setting.commit(vec![replace(&stored, 2)]).await.unwrap();
        assert!(setting.proxy.has_struck());
        let read = setting.get(&id).await.unwrap();
        assert_eq!((left(&read), vec![read.version]), (2, versions), "{cut:?}");
    }
    setting.close().await;
}

#[tokio::test]
async fn a_deletion_that_the_server_did_not_receive_is_retried() {
    let setting = Setting::new().await;
    let stored = setting.stored("a", 1).await;
    setting.proxy.set_trap("a", Cut::Before);
    setting.commit(vec![Operation::Delete { previous: stored }]).await.unwrap();
    assert!(setting.proxy.has_struck());
    assert_eq!(setting.get("a").await, None);
    setting.close().await;
}

#[tokio::test]
async fn a_creation_or_increment_whose_reply_is_lost_is_found_by_its_version() {
    let setting = Setting::new().await;
    setting.proxy.set_trap("cut-a", Cut::Reply);
    let versions = setting.commit(vec![create("cut-a", 1)]).await.unwrap();
    assert!(setting.proxy.has_struck());
    assert_eq!(setting.get("cut-a").await.map(|read| vec![read.version]), Some(versions));
    setting.proxy.set_trap("cut-a", Cut::Reply);
    let versions = setting.commit(vec![increment("cut-a", 1)]).await.unwrap();
    assert!(setting.proxy.has_struck());
    let read = setting.get("cut-a").await.unwrap();
    assert_eq!((left(&read), vec![read.version]), (2, versions));
    setting.close().await;
}

/// It cannot be determined whether the increment was never applied or was applied and then overwritten, so it is
/// not retried.
#[tokio::test]
async fn an_increment_that_leaves_no_trace_is_not_retried() {
    let setting = Setting::new().await;
    setting.stored("a", 1).await;
    setting.proxy.set_trap("a", Cut::Before);
    let lost = setting.commit(vec![increment("a", 1)]).await.unwrap_err();
    assert!(matches!(lost, Error::OutcomeUnknown(_)), "{lost:?}");
    assert_eq!(setting.get("a").await.as_ref().map(left), Some(1));
    setting.close().await;
}

#[tokio::test]
async fn an_addition_whose_reply_is_lost_is_applied_once_at_most() {
    const HITS: &Collection = &Collection::new("hits").fields(&[Field::integer("count")]).tally("count");
    let setting = Setting::new().await;
    setting.database.migrate(&Schema::new([HITS]).unwrap()).await.unwrap();
    let add = async || {
        let body = json!({ "count": 1 }).as_object().unwrap().clone();
        let key = Key::new(HITS, "hit-a").unwrap();
        setting.database.add(&Addition::new(key, body, None, &setting.ambient).unwrap()).await
    };
    for (cut, sum) in [(Cut::Before, 1), (Cut::Reply, 3)] {
        setting.proxy.set_trap("hit-a", cut);
        let lost = add().await.unwrap_err();
        assert!(matches!(lost, Error::OutcomeUnknown(_)), "{lost:?}");
        assert_eq!(add().await, Ok(sum));
    }
    setting.close().await;
}

#[tokio::test]
async fn a_batch_is_applied_once_wherever_its_connection_breaks() {
    let setting = Setting::new().await;
    for (place, (text, cut)) in ["begin", "cut-", "commit"]
        .iter()
        .flat_map(|text| [Cut::Before, Cut::After, Cut::Reply].map(|cut| (text, cut)))
        .enumerate()
    {
        let ids = [format!("cut-{place}-a"), format!("cut-{place}-b")];
        setting.stored(&ids[0], 10).await;
        setting.proxy.set_trap(text, cut);
        let versions = setting.commit(vec![increment(&ids[0], -4), create(&ids[1], 4)]).await.unwrap();
        assert!(setting.proxy.has_struck(), "{text} {cut:?}");
        let (one, other) = (setting.get(&ids[0]).await.unwrap(), setting.get(&ids[1]).await.unwrap());
        assert_eq!((left(&one), left(&other)), (6, 4), "{text} {cut:?}");
        assert_eq!(versions, [one.version, other.version]);
    }
    setting.close().await;
}

/// The lost commit is identified by its transaction number, even if another writer followed at once.
#[tokio::test]
async fn a_committed_batch_that_was_overwritten_is_recognized_as_committed() {
    let setting = Setting::new().await;
    setting.stored("a", 10).await;
    setting.stored("b", 10).await;
    let direct = setting.schema.open(setting.ambient.clone()).await;
    let client = setting.schema.client().await;
    // When the outcome is looked up, both documents have been overwritten by a trigger on the server.
    client
        .batch_execute(
            "create function overwrite() returns trigger language plpgsql as \
             $$ begin new.version = decode(md5(random()::text), 'hex'); return new; end $$; \
             create trigger overwrite before update on stock for each row execute function overwrite()",
        )
        .await
        .unwrap();
    setting.proxy.set_trap("commit", Cut::Reply);
    setting.commit(vec![increment("a", 1), increment("b", 2)]).await.unwrap();
    assert!(setting.proxy.has_struck());
    let lefts = [direct.get(&key("a")).await.unwrap(), direct.get(&key("b")).await.unwrap()];
    assert_eq!(lefts.map(|document| left(&document.unwrap())), [11, 12]);
    setting.close().await;
}

#[tokio::test]
async fn a_connection_that_breaks_while_it_waits_for_a_lock_leaves_no_lock_behind() {
    let setting = Setting::new().await;
    let stored = setting.stored("a", 1).await;
    let mut blocker = setting.schema.client().await;
    let transaction = blocker.transaction().await.unwrap();
    transaction.batch_execute("select from stock where id = 'a' for update").await.unwrap();
    let (proxy, watcher) = (setting.proxy.clone(), setting.schema.client().await);
    let is_waiting = async || {
        let sql = "select count(*) from pg_stat_activity a where wait_event_type = 'Lock' \
                   and exists (select from pg_locks l where l.pid = a.pid and l.relation = 'stock'::regclass)";
        watcher.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1
    };
    let cutting = async {
        until(is_waiting).await;
        proxy.cut_all();
        // The second attempt terminates the process of the first one, and waits for the lock in turn.
        tokio::time::sleep(Duration::from_millis(200)).await;
        until(is_waiting).await;
        transaction.rollback().await.unwrap();
    };
    let batch = setting.batch(vec![replace(&stored, 2), create("b", 1)]);
    let (versions, ()) = tokio::join!(setting.database.commit(&batch), cutting);
    let versions = versions.unwrap();
    assert_eq!(setting.get("a").await.map(|read| (left(&read), read.version)), Some((2, versions[0])));
    setting.close().await;
}

#[tokio::test]
async fn a_rejection_is_told_over_a_fresh_connection() {
    let setting = Setting::new().await;
    let stored = setting.stored("a", 1).await;
    setting.commit(vec![replace(&stored, 2)]).await.unwrap();
    setting.proxy.set_trap("begin", Cut::Before);
    let rejected = setting.commit(vec![replace(&stored, 3)]).await.unwrap_err();
    assert!(setting.proxy.has_struck());
    let cause = Cause::VersionMismatch;
    assert_eq!(rejected, Error::Rejected(vec![Rejection { operation: 0, key: key("a"), cause }]));
    setting.close().await;
}

#[tokio::test]
async fn a_batch_of_checks_survives_a_broken_connection() {
    let setting = Setting::new().await;
    let stored = setting.stored("a", 1).await;
    for cut in [Cut::Before, Cut::After, Cut::Reply] {
        setting.proxy.set_trap("begin", cut);
        let check = |id, expect| Operation::Check { key: key(id), expect };
        let checks = vec![check("a", Expect::Version(stored.version)), check("b", Expect::Absent)];
        assert_eq!(setting.commit(checks).await, Ok(vec![Version::NONE; 2]));
        assert!(setting.proxy.has_struck());
    }
    setting.close().await;
}

/// Every increment is applied once or has an unknown outcome. The total lies between the number of the known ones
/// and the number of all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_over_constantly_breaking_connections_count_exactly() {
    const WRITERS: usize = 4;
    const EACH: i64 = 15;
    let setting = Setting::new().await;
    setting.stored("single", 0).await;
    setting.stored("batch", 0).await;
    let url = setting.schema.at(&setting.proxy.url(), "max_connections=4");
    let database = Arc::new(Postgres::connect(&url, setting.ambient.clone()).await.unwrap());
    let (sure_of_singles, unsure, batches) =
        (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let running = Arc::new(AtomicUsize::new(WRITERS));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (database, ambient, running) = (database.clone(), setting.ambient.clone(), running.clone());
        let (sure_of_singles, unsure, batches) = (sure_of_singles.clone(), unsure.clone(), batches.clone());
        writers.push(tokio::spawn(async move {
            for count in 0..EACH {
                let single = Batch::new(vec![increment("single", 1)], &ambient).unwrap();
                match patiently(&database, &single).await {
                    Ok(()) => sure_of_singles.fetch_add(1, Ordering::SeqCst),
                    Err(Error::OutcomeUnknown(_)) => unsure.fetch_add(1, Ordering::SeqCst),
                    Err(error) => panic!("{error:?}"),
                };
                let marker = create(&format!("{writer}-{count}"), 0);
                let batch = Batch::new(vec![increment("batch", 1), marker], &ambient).unwrap();
                patiently(&database, &batch).await.unwrap();
                batches.fetch_add(1, Ordering::SeqCst);
            }
            running.fetch_sub(1, Ordering::SeqCst);
        }));
    }
    while running.load(Ordering::SeqCst) > 0 {
        tokio::time::sleep(setting.ambient.jitter(Duration::from_millis(300))).await;
        setting.proxy.cut_all();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let (single, batch) = (setting.get("single").await.unwrap(), setting.get("batch").await.unwrap());
    assert_eq!(left(&batch), batches.load(Ordering::SeqCst));
    let sure = sure_of_singles.load(Ordering::SeqCst);
    let possible = sure..=sure + unsure.load(Ordering::SeqCst);
    assert!(possible.contains(&left(&single)), "{} is not in {possible:?}", left(&single));
    setting.close().await;
}

async fn patiently(database: &Postgres, batch: &Batch) -> Result<(), Error> {
    loop {
        match database.commit(batch).await {
            Err(error) if error.is_retryable() => tokio::time::sleep(Duration::from_millis(5)).await,
            outcome => return outcome.map(|_| ()),
        }
    }
}
