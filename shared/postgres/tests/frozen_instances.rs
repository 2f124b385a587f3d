//! Tests of an instance that is frozen, with its connections open. The instance is a process of its own, stopped by
//! SIGSTOP.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use switchyard_ambient::{Ambient, Clock, SystemClock, SystemRandomness, Timestamp};
use switchyard_database::{
    Batch, Body, Collection, Database as _, Document, Error, Field, Key, Operation, Schema,
};
use switchyard_postgres::Postgres;
use tokio::time::timeout;

use common::pgbouncer::PgBouncer;
use common::{TestSchema, admin, until};

const STOCK: &Collection = &Collection::new("stock").fields(&[Field::integer("left")]).counters(&["left"]);

/// The URL of the database. It is set in the process that is to be frozen.
const URL: &str = "SWITCHYARD_TEST_FROZEN";
/// The server gives the locks of a frozen client back after three seconds.
const PATIENCE: Duration = Duration::from_secs(10);

fn key(id: &str) -> Key {
    Key::new(STOCK, id).unwrap()
}

fn body(left: i64) -> Body {
    json!({"left": left}).as_object().unwrap().clone()
}

fn create(id: &str, left: i64) -> Operation {
    Operation::Create { key: key(id), body: body(left), expires_at: None }
}

fn replace(previous: Document, left: i64) -> Operation {
    Operation::Replace { previous, body: body(left), expires_at: None }
}

/// A clock that stops the process whenever it is read, once it is armed.
#[derive(Debug, Clone, Default)]
struct StoppingClock(Arc<AtomicBool>);

impl Clock for StoppingClock {
    fn now(&self) -> Timestamp {
        if self.0.load(Ordering::SeqCst) {
            let own = std::process::id().to_string();
            assert!(Command::new("kill").args(["-STOP", &own]).status().unwrap().success());
        }
        SystemClock.now()
    }
}

/// The program of the process that is frozen. Its commit reads the clock before it decides, when it has locked the
/// documents.
async fn commit_and_freeze(url: &str) {
    let clock = StoppingClock::default();
    let ambient = Ambient::new(clock.clone(), SystemRandomness);
    let database = Postgres::connect(url, ambient.clone()).await.unwrap();
    let stored = database.get(&key("a")).await.unwrap().unwrap();
    let batch = Batch::new(vec![replace(stored, 1), create("b", 1)], &ambient).unwrap();
    clock.0.store(true, Ordering::SeqCst);
    let outcome = database.commit(&batch).await;
    // It was not applied, and if the process was frozen for long, not tried again.
    assert!(matches!(outcome, Err(Error::Rejected(_) | Error::Unavailable(_))), "{outcome:?}");
}

/// Another instance. A failed test does not leave it behind.
struct Instance(Child);

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts this test again as another process.
fn start(test: &str, url: &str) -> Instance {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(URL, url);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Instance(command.spawn().unwrap())
}

fn signal(process: &Instance, signal: &str) {
    let sent = Command::new("kill").args([signal, &process.0.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

fn is_stopped(process: &Instance) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.0.id())).unwrap();
    stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
}

/// An instance is frozen in the middle of a transaction that has locked a document. Another instance writes it
/// after a few seconds. `url` is that of both.
async fn is_overtaken(test: &str, schema: &TestSchema, url: &str) {
    let ambient = Ambient::system();
    let database = Postgres::connect(url, ambient.clone()).await.unwrap();
    database.migrate(&Schema::new([STOCK]).unwrap()).await.unwrap();
    let commit = async |operations| database.commit(&Batch::new(operations, &ambient).unwrap()).await;
    commit(vec![create("a", 0), create("c", 0)]).await.unwrap();

    let mut frozen = start(test, url);
    let watcher = schema.client().await;
    until(async || {
        let open = "select count(*) from pg_stat_activity a where state = 'idle in transaction' and exists \
                    (select from pg_locks l where l.pid = a.pid and l.relation = 'stock'::regclass)";
        if !is_stopped(&frozen) {
            return false;
        }
        let is_open = watcher.query_one(open, &[]).await.unwrap().get::<_, i64>(0) == 1;
        if !is_open {
            signal(&frozen, "-CONT");
        }
        is_open
    })
    .await;

    let stored = database.get(&key("a")).await.unwrap().unwrap();
    let alone = timeout(PATIENCE, commit(vec![replace(stored, 2)])).await;
    assert!(matches!(alone, Ok(Ok(_))), "{alone:?}");
    let stored = database.get(&key("a")).await.unwrap().unwrap();
    let other = database.get(&key("c")).await.unwrap().unwrap();
    let both = timeout(PATIENCE, commit(vec![replace(stored, 3), replace(other, 3)])).await;
    assert!(matches!(both, Ok(Ok(_))), "{both:?}");

    // The instance finds out that its transaction was rolled back, and that others were faster.
    until(async || {
        if is_stopped(&frozen) {
            signal(&frozen, "-CONT");
        }
        frozen.0.try_wait().unwrap().is_some()
    })
    .await;
    assert!(frozen.0.wait().unwrap().success());
    let left = async |id| database.get(&key(id)).await.unwrap().map(|document| document.body["left"].clone());
    assert_eq!([left("a").await, left("b").await, left("c").await], [Some(json!(3)), None, Some(json!(3))]);
}

#[tokio::test]
async fn an_instance_frozen_in_a_transaction_loses_its_locks() {
    if let Ok(url) = std::env::var(URL) {
        return commit_and_freeze(&url).await;
    }
    let schema = TestSchema::create().await;
    let url = schema.url("");
    is_overtaken("an_instance_frozen_in_a_transaction_loses_its_locks", &schema, &url).await;
    schema.drop().await;
}

/// PgBouncer keeps the settings of a session from the server.
#[tokio::test]
async fn an_instance_frozen_behind_a_pooling_proxy_loses_its_locks() {
    if let Ok(url) = std::env::var(URL) {
        return commit_and_freeze(&url).await;
    }
    let schema = TestSchema::create().await;
    let bouncer = PgBouncer::start(&schema, 4).await;
    let url = bouncer.url("");
    is_overtaken("an_instance_frozen_behind_a_pooling_proxy_loses_its_locks", &schema, &url).await;
    bouncer.close(schema).await;
}

/// The server cannot send to an instance that does not read, and so cannot end the statement by its time limit.
#[tokio::test]
async fn an_instance_frozen_while_it_reads_loses_its_locks() {
    const DOCUMENTS: usize = 60;
    let schema = TestSchema::create().await;
    let proxy = common::proxy::Proxy::start().await;
    let ambient = Ambient::system();
    let database = schema.open(ambient.clone()).await;
    database.migrate(&Schema::new([STOCK]).unwrap()).await.unwrap();
    let id = |number: usize| format!("n{number}");
    for number in 0..DOCUMENTS {
        let mut body = body(0);
        body.insert("text".to_owned(), json!("x".repeat(300_000)));
        let create = Operation::Create { key: key(&id(number)), body, expires_at: None };
        database.commit(&Batch::new(vec![create], &ambient).unwrap()).await.unwrap();
    }
    let increment =
        |number| Operation::Increment { key: key(&id(number)), field: "left", by: 1, at_least: None };
    let all = Batch::new((0..DOCUMENTS).map(increment).collect(), &ambient).unwrap();
    let stalled = Postgres::connect(&schema.at(&proxy.url(), ""), ambient.clone()).await.unwrap();
    stalled.ping().await.unwrap();
    proxy.stop_reading();
    let frozen = tokio::spawn(async move { stalled.commit(&all).await });
    let watcher = admin().await;
    until(async || {
        let sending = "select count(*) from pg_stat_activity a where wait_event = 'ClientWrite' and exists \
                       (select from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n \
                       on n.oid = c.relnamespace where l.pid = a.pid and n.nspname = $1)";
        watcher.query_one(sending, &[&schema.name]).await.unwrap().get::<_, i64>(0) == 1
    })
    .await;
    let one = Batch::new(vec![increment(0)], &ambient).unwrap();
    let counted = async {
        // An attempt gives up after five seconds.
        while let Err(error) = database.commit(&one).await {
            assert!(error.is_retryable(), "{error:?}");
        }
    };
    timeout(Duration::from_secs(30), counted).await.unwrap();
    frozen.abort();
    schema.drop().await;
}
