//! Tests of callers that are cancelled.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use switchyard_ambient::Ambient;
use switchyard_database::{Batch, Collection, Database as _, Field, Key, Operation, Scan, Schema, Unique};
use switchyard_postgres::Postgres;

use common::{TestSchema, until};

const ACCOUNTS: &Collection =
    &Collection::new("accounts").fields(&[Field::integer("balance")]).counters(&["balance"]);
const TRANSFERS: &Collection = &Collection::new("transfers")
    .fields(&[Field::string("number"), Field::integer("amount")])
    .uniques(&[Unique::new("number", &["number"])])
    .search(&["number"]);

const WORKERS: usize = 6;
const TRANSFERS_EACH: usize = 60;

fn account(number: usize) -> Key {
    Key::new(ACCOUNTS, format!("account-{number}")).unwrap()
}

fn increment(key: Key, by: i64) -> Operation {
    Operation::Increment { key, field: "balance", by, at_least: None }
}

/// The time before a caller is cancelled ranges from none to enough for the call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_callers_leave_whole_transactions_and_usable_connections() {
    let schema = TestSchema::create().await;
    let ambient = Ambient::system();
    let database = Postgres::connect(&schema.url("max_connections=3"), ambient.clone()).await.unwrap();
    let database = Arc::new(database);
    database.migrate(&Schema::new([ACCOUNTS, TRANSFERS]).unwrap()).await.unwrap();
    for number in 0..WORKERS {
        let body = json!({"balance": 0}).as_object().unwrap().clone();
        let create = Operation::Create { key: account(number), body, expires_at: None };
        database.commit(&Batch::new(vec![create], &ambient).unwrap()).await.unwrap();
    }
    let workers = (0..WORKERS).map(|worker| {
        let (database, ambient) = (database.clone(), ambient.clone());
        tokio::spawn(async move {
            let mut finished = 0;
            for count in 0..TRANSFERS_EACH {
                let number = format!("{worker}-{count}");
                let body = json!({"number": number, "amount": 1, "from": worker});
                let transfer = Operation::Create {
                    key: Key::new(TRANSFERS, number).unwrap(),
                    body: body.as_object().unwrap().clone(),
                    expires_at: None,
                };
                let (from, to) = (account(worker), account((worker + 1) % WORKERS));
                let operations = vec![increment(from, -1), increment(to, 1), transfer];
                let batch = Batch::new(operations, &ambient).unwrap();
                let patience = ambient.jitter(Duration::from_millis(if count % 2 == 0 { 4 } else { 40 }));
                if let Ok(outcome) = tokio::time::timeout(patience, database.commit(&batch)).await {
                    finished += usize::from(outcome.is_ok());
                }
                let single = Batch::new(vec![increment(account(worker), 0)], &ambient).unwrap();
                let _ = tokio::time::timeout(patience / 8, database.commit(&single)).await;
                let _ = tokio::time::timeout(patience / 8, database.get(&account(worker))).await;
            }
            finished
        })
    });
    let mut finished = 0;
    for worker in workers.collect::<Vec<_>>() {
        finished += worker.await.unwrap();
    }

    // Transactions that were running end either way, and none stays open.
    let client = schema.client().await;
    until(async || {
        let open = "select count(*) from pg_stat_activity a where state <> 'idle' and exists \
                    (select from pg_locks l where l.pid = a.pid and l.relation = 'accounts'::regclass)";
        client.query_one(open, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
    let page = database.scan(&Scan::new(TRANSFERS)).await.unwrap();
    assert_eq!(page.next, None);
    let mut expected = [0_i64; WORKERS];
    for transfer in &page.documents {
        let from = usize::try_from(transfer.body["from"].as_u64().unwrap()).unwrap();
        expected[from] -= 1;
        expected[(from + 1) % WORKERS] += 1;
    }
    assert!(page.documents.len() >= finished, "{finished} were committed");
    for (number, expected) in expected.into_iter().enumerate() {
        let stored = database.get(&account(number)).await.unwrap().unwrap();
        assert_eq!(stored.body["balance"], json!(expected), "account {number}");
    }
    schema.drop().await;
}
