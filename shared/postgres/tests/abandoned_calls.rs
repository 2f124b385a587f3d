//! Tests of callers that wait for a lock, and of callers that have gone: neither may take the service down.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use switchyard_ambient::Ambient;
use switchyard_database::{
    Batch, Collection, Database as _, Document, Error, Field, Key, Operation, Scan, Schema,
};
use switchyard_postgres::Postgres;
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;

use common::{TestSchema, until};

const USERS: &Collection =
    &Collection::new("users").fields(&[Field::integer("logins")]).counters(&["logins"]);
const ROLES: &Collection =
    &Collection::new("roles").fields(&[Field::integer("grants")]).counters(&["grants"]);

/// A call that must not wait for the locked table is given this time.
const PROMPT: Duration = Duration::from_secs(2);

struct Setting {
    schema: TestSchema,
    database: Arc<Postgres>,
    ambient: Ambient,
    /// A connection for watching the server.
    watcher: Client,
}

impl Setting {
    async fn new(parameters: &str) -> Self {
        let schema = TestSchema::create().await;
        let ambient = Ambient::system();
        let url = schema.url(&format!("application_name={}&{parameters}", schema.name));
        let database = Arc::new(Postgres::connect(&url, ambient.clone()).await.unwrap());
        database.migrate(&Schema::new([USERS, ROLES]).unwrap()).await.unwrap();
        let watcher = schema.client().await;
        let setting = Self { schema, database, ambient, watcher };
        for (collection, field) in [(USERS, "logins"), (ROLES, "grants")] {
            let body = json!({field: 0}).as_object().unwrap().clone();
            setting
                .commit(vec![Operation::Create { key: key(collection, "a"), body, expires_at: None }])
                .await
                .unwrap();
        }
        setting
    }

    async fn commit(&self, operations: Vec<Operation>) -> Result<(), Error> {
        self.database.commit(&Batch::new(operations, &self.ambient).unwrap()).await.map(drop)
    }

    async fn get(&self, collection: &'static Collection) -> Document {
        self.database.get(&key(collection, "a")).await.unwrap().unwrap()
    }

    /// Returns the number of connections of the pool that satisfy a condition on the server.
    async fn sessions(&self, condition: &str) -> i64 {
        let sql =
            format!("select count(*) from pg_stat_activity where application_name = $1 and {condition}");
        self.watcher.query_one(&sql, &[&self.schema.name]).await.unwrap().get(0)
    }

    async fn waiting(&self) -> i64 {
        self.sessions("wait_event_type = 'Lock'").await
    }

    /// Checks that everything that does not concern the table of users is answered.
    async fn serves_others(&self) {
        let others = async {
            self.database.ping().await.unwrap();
            assert_eq!(self.database.scan(&Scan::new(ROLES)).await.unwrap().documents.len(), 1);
            self.get(ROLES).await;
            self.commit(vec![increment(ROLES, "grants")]).await.unwrap();
        };
        timeout(PROMPT, others).await.expect("the other table is not locked");
    }

    async fn close(self) {
        drop(self.database);
        self.schema.drop().await;
    }
}

fn key(collection: &'static Collection, id: &str) -> Key {
    Key::new(collection, id).unwrap()
}

fn increment(collection: &'static Collection, field: &'static str) -> Operation {
    Operation::Increment { key: key(collection, "a"), field, by: 1, at_least: None }
}

/// Locks the table of users, so that not even reads are possible.
async fn lock_users(setting: &Setting) -> Client {
    let client = setting.schema.client().await;
    client.batch_execute("begin; lock table users in access exclusive mode").await.unwrap();
    client
}

/// Ten callers list users, each a second apart from the next ten, and leave after a second.
#[tokio::test]
async fn callers_that_leave_a_locked_table_leave_no_statement_behind() {
    let setting = Setting::new("").await;
    let locker = lock_users(&setting).await;
    for _ in 0..3 {
        let scan = Scan::new(USERS);
        let lists = (0..10).map(|_| timeout(Duration::from_secs(1), setting.database.scan(&scan)));
        let meanwhile = async {
            until(async || setting.waiting().await >= 4).await;
            setting.serves_others().await;
            assert!(setting.sessions("true").await <= 10);
        };
        let (lists, ()) = tokio::join!(join_all(lists), meanwhile);
        assert!(lists.iter().all(Result::is_err));
    }
    until(async || setting.waiting().await == 0).await;
    setting.serves_others().await;
    assert!(setting.sessions("true").await <= 10);
    locker.batch_execute("rollback").await.unwrap();
    assert_eq!(setting.database.scan(&Scan::new(USERS)).await.unwrap().documents.len(), 1);
    setting.close().await;
}

#[tokio::test]
async fn callers_that_read_rows_of_a_locked_table_do_not_take_the_service_down() {
    let setting = Setting::new("").await;
    let locker = lock_users(&setting).await;
    let (users, scan) = (key(USERS, "a"), Scan::new(USERS));
    let reads = (0..50).map(|_| timeout(Duration::from_secs(3), setting.database.get(&users)));
    let lists = (0..20).map(|_| timeout(Duration::from_secs(3), setting.database.scan(&scan)));
    let meanwhile = async {
        until(async || setting.waiting().await >= 4).await;
        for _ in 0..5 {
            setting.serves_others().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let (reads, lists, ()) = tokio::join!(join_all(reads), join_all(lists), meanwhile);
    assert!(reads.iter().all(Result::is_err) && lists.iter().all(Result::is_err));
    until(async || setting.waiting().await == 0).await;
    locker.batch_execute("rollback").await.unwrap();
    setting.get(USERS).await;
    setting.close().await;
}

/// A caller that does not leave is told after the time limit for locks, which it waits for once.
#[tokio::test]
async fn a_locked_table_is_reported_after_the_time_limit_for_locks() {
    let setting = Setting::new("").await;
    let locker = lock_users(&setting).await;
    let began = Instant::now();
    let read = setting.database.get(&key(USERS, "a")).await.unwrap_err();
    assert!(matches!(&read, Error::Unavailable(why) if why.contains("lock timeout")), "{read:?}");
    let written = setting.commit(vec![increment(USERS, "logins")]).await.unwrap_err();
    assert_eq!(written, Error::Contended);
    let batch = vec![increment(USERS, "logins"), increment(ROLES, "grants")];
    assert_eq!(setting.commit(batch).await.unwrap_err(), Error::Contended);
    // Five seconds each. With retries it would be 30 and 40.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    locker.batch_execute("rollback").await.unwrap();
    assert_eq!(setting.get(ROLES).await.body["grants"], json!(0));
    setting.close().await;
}

/// Reads of rows share a connection. One caller that leaves must not end the reads of the others.
#[tokio::test]
async fn a_shared_connection_is_not_cancelled_while_others_wait_for_it() {
    let setting = Setting::new("max_connections=1").await;
    let locker = lock_users(&setting).await;
    let users = key(USERS, "a");
    let leaving = timeout(Duration::from_millis(500), setting.database.get(&users));
    let staying = setting.database.get(&users);
    let unlocking = async {
        until(async || setting.waiting().await == 1).await;
        let before = setting.sessions("true").await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_eq!((setting.waiting().await, setting.sessions("true").await), (1, before));
        locker.batch_execute("rollback").await.unwrap();
    };
    let (left, stayed, ()) = tokio::join!(leaving, staying, unlocking);
    assert!(left.is_err());
    assert!(stayed.unwrap().is_some());
    setting.close().await;
}

/// The transaction of a caller that has gone is rolled back while it waits for a lock.
#[tokio::test]
async fn a_commit_whose_caller_has_gone_is_rolled_back() {
    let setting = Setting::new("").await;
    let blocker = setting.schema.client().await;
    blocker.batch_execute("begin; select from users where id = 'a' for update").await.unwrap();
    let batch = vec![increment(ROLES, "grants"), increment(USERS, "logins")];
    let single = vec![increment(USERS, "logins")];
    for operations in [batch, single] {
        let left = timeout(Duration::from_millis(500), setting.commit(operations)).await;
        assert!(left.is_err());
        until(async || setting.waiting().await == 0).await;
        until(async || setting.sessions("state <> 'idle'").await == 0).await;
    }
    blocker.batch_execute("rollback").await.unwrap();
    assert_eq!(setting.get(ROLES).await.body["grants"], json!(0));
    assert_eq!(setting.get(USERS).await.body["logins"], json!(0));
    setting.close().await;
}

/// Many writers of one row, as of an article that everybody buys.
#[tokio::test]
async fn writers_that_wait_for_one_row_leave_connections_to_others() {
    let setting = Setting::new("").await;
    let blocker = setting.schema.client().await;
    blocker.batch_execute("begin; select from users where id = 'a' for update").await.unwrap();
    let writes = (0..30).map(|_| setting.commit(vec![increment(USERS, "logins")]));
    let meanwhile = async {
        until(async || setting.waiting().await >= 4).await;
        setting.serves_others().await;
        timeout(PROMPT, setting.get(USERS)).await.expect("a row that is locked can be read");
        blocker.batch_execute("rollback").await.unwrap();
    };
    let (writes, ()) = tokio::join!(join_all(writes), meanwhile);
    assert!(writes.iter().all(Result::is_ok), "{writes:?}");
    assert_eq!(setting.get(USERS).await.body["logins"], json!(30));
    setting.close().await;
}
