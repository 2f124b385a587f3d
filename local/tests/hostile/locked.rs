//! A table of the database that somebody has locked, as by a migration of their own.

use std::process::Command;
use std::time::{Duration, Instant};

use futures::future::join_all;
use switchyard_harness::identity::access_token_of_admin;
use switchyard_harness::store::{Backend, Store};
use tokio_postgres::{Client, NoTls};

use crate::Server;

/// How long a request that does not need the table may take. It would take five seconds if it waited for those that
/// do.
const PROMPT: Duration = Duration::from_secs(3);

async fn connect(store: &Store) -> Client {
    let (client, connection) = tokio_postgres::connect(&store.database_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Returns how many statements wait for the table of users.
async fn waiting(client: &Client) -> i64 {
    let sql = "select count(*) from pg_locks where relation = 'users'::regclass and not granted";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "the condition was not met in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Clients list users, and leave after a second without an answer. Meanwhile and afterwards, everything else is
/// answered.
#[tokio::test]
async fn a_locked_table_of_postgres_does_not_take_the_service_down() {
    let store = Store::migrated(Backend::Postgres).await.unwrap();
    let token = access_token_of_admin(&store).await.unwrap();
    let settings = [("DATABASE_URL", store.database_url.as_str())];
    let server = Server::start_by(Command::new(env!("CARGO_BIN_EXE_switchyard")), &settings).await;
    let client = reqwest::Client::new();
    let get = |path: &str| client.get(format!("{}{path}", server.process.base_url)).bearer_auth(&token);
    let others_are_answered = async || {
        for path in ["/readyz", "/health", "/api/v1/roles", "/api/v1/roles/admin"] {
            let answer = get(path).timeout(PROMPT).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200, "{path}");
        }
    };
    others_are_answered().await;

    let (locker, watcher) = (connect(&store).await, connect(&store).await);
    locker.batch_execute("begin; lock table users in access exclusive mode").await.unwrap();
    for _ in 0..2 {
        let leaving = (0..10).map(|_| get("/api/v1/users").timeout(Duration::from_secs(1)).send());
        let meanwhile = async {
            until(async || waiting(&watcher).await >= 4).await;
            others_are_answered().await;
        };
        let (left, ()) = futures::future::join(join_all(leaving), meanwhile).await;
        assert!(left.iter().all(|answer| answer.as_ref().is_err_and(reqwest::Error::is_timeout)));
    }
    until(async || waiting(&watcher).await == 0).await;
    others_are_answered().await;
    locker.batch_execute("rollback").await.unwrap();
    assert_eq!(get("/api/v1/users").send().await.unwrap().status().as_u16(), 200);
}
