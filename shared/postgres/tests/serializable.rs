//! Tests of serializability under load, with transactions that would each be correct alone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use serde_json::json;
use switchyard_ambient::Ambient;
use switchyard_database::{
    Batch, Body, Collection, Database as _, Error, Expect, Field, Key, Operation, Schema, Version,
};
use switchyard_postgres::Postgres;
use tokio::sync::Barrier;

use common::TestSchema;

const SHIFTS: &Collection =
    &Collection::new("shifts").fields(&[Field::integer("count")]).counters(&["count"]);

const ROUNDS: usize = 150;

struct Setting {
    schema: TestSchema,
    database: Arc<Postgres>,
    ambient: Ambient,
}

impl Setting {
    async fn new() -> Self {
        let schema = TestSchema::create().await;
        let ambient = Ambient::system();
        let database = schema.open(ambient.clone()).await;
        database.migrate(&Schema::new([SHIFTS]).unwrap()).await.unwrap();
        Self { schema, database: Arc::new(database), ambient }
    }

    /// Commits all batches at once and returns whether each one was applied.
    async fn race(&self, batches: Vec<Vec<Operation>>) -> Vec<bool> {
        let start = Arc::new(Barrier::new(batches.len()));
        let racers: Vec<_> = batches
            .into_iter()
            .map(|operations| {
                let (database, start) = (self.database.clone(), start.clone());
                let batch = Batch::new(operations, &self.ambient).unwrap();
                tokio::spawn(async move {
                    start.wait().await;
                    applied(database.commit(&batch).await)
                })
            })
            .collect();
        let mut outcomes = Vec::new();
        for racer in racers {
            outcomes.push(racer.await.unwrap());
        }
        outcomes
    }
}

fn applied(outcome: Result<Vec<Version>, Error>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(Error::Rejected(_) | Error::Contended) => false,
        Err(error) => panic!("{error:?}"),
    }
}

fn key(id: &str) -> Key {
    Key::new(SHIFTS, id).unwrap()
}

fn body() -> Body {
    json!({"count": 0}).as_object().unwrap().clone()
}

fn create(id: &str) -> Operation {
    Operation::Create { key: key(id), body: body(), expires_at: None }
}

fn check(id: &str, expect: Expect) -> Operation {
    Operation::Check { key: key(id), expect }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_batches_that_each_need_the_other_absent_one_fails() {
    let setting = Setting::new().await;
    for round in 0..ROUNDS {
        let (a, b) = (&*format!("{round}-a"), &*format!("{round}-b"));
        let outcomes = setting
            .race(vec![vec![check(a, Expect::Absent), create(b)], vec![check(b, Expect::Absent), create(a)]])
            .await;
        assert_eq!(outcomes.iter().filter(|&&applied| applied).count(), 1, "round {round}: {outcomes:?}");
    }
    setting.schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cycle_of_three_never_closes() {
    let setting = Setting::new().await;
    for round in 0..ROUNDS {
        let [a, b, c] = ["a", "b", "c"].map(|name| format!("{round}-{name}"));
        let outcomes = setting
            .race(vec![
                vec![check(&a, Expect::Absent), create(&b)],
                vec![check(&b, Expect::Absent), create(&c)],
                vec![check(&c, Expect::Absent), create(&a)],
            ])
            .await;
        let applied = outcomes.iter().filter(|&&applied| applied).count();
        assert!((1..=2).contains(&applied), "round {round}: {outcomes:?}");
    }
    setting.schema.drop().await;
}

/// For one of the two batches the plain create comes first, for the other it comes last: only one of them can
/// succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_create_takes_part_in_the_order() {
    let setting = Setting::new().await;
    for round in 0..ROUNDS {
        let [a, b, c] = ["a", "b", "c"].map(|name| format!("{round}-{name}"));
        let outcomes = setting
            .race(vec![
                vec![create(&a)],
                vec![check(&a, Expect::Absent), create(&b)],
                vec![check(&a, Expect::Exists), check(&b, Expect::Absent), create(&c)],
            ])
            .await;
        assert!(outcomes[0], "a plain create always succeeds");
        assert!(!(outcomes[1] && outcomes[2]), "round {round}: {outcomes:?}");
    }
    setting.schema.drop().await;
}

/// Replacements that are single statements lock only their row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_replacements_take_part_in_the_order() {
    let setting = Setting::new().await;
    for round in 0..ROUNDS {
        let (a, b) = (&*format!("{round}-a"), &*format!("{round}-b"));
        setting
            .database
            .commit(&Batch::new(vec![create(a), create(b)], &setting.ambient).unwrap())
            .await
            .unwrap();
        let read = async |id: &str| setting.database.get(&key(id)).await.unwrap().unwrap();
        let (first, second) = (read(a).await, read(b).await);
        let expect = |version| Expect::Version(version);
        let replace = |previous: &switchyard_database::Document| Operation::Replace {
            previous: previous.clone(),
            body: body(),
            expires_at: None,
        };
        let outcomes = setting
            .race(vec![
                vec![replace(&first)],
                vec![check(a, expect(first.version)), replace(&second)],
                vec![
                    check(b, expect(second.version)),
                    check(a, Expect::Exists),
                    create(&format!("{round}-c")),
                ],
            ])
            .await;
        assert!(outcomes[0], "no other batch writes this document");
        // The batch that saw the second document unchanged comes before the one that changed it.
        let second_now = read(b).await.version;
        assert_eq!(outcomes[1], second_now != second.version);
    }
    setting.schema.drop().await;
}

/// Batches name the same keys in opposite orders, for checks and writes. All of them lock in one order, so there
/// is no cycle, which the server would notice only after a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_over_the_same_documents_do_not_deadlock() {
    let setting = Setting::new().await;
    let names = ["a", "b", "c", "d", "e"];
    let all = names.iter().map(|name| create(name)).collect();
    setting.database.commit(&Batch::new(all, &setting.ambient).unwrap()).await.unwrap();
    let client = setting.schema.client().await;
    let deadlocks = async || {
        let sql = "select deadlocks from pg_stat_database where datname = current_database()";
        client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    let before = deadlocks().await;
    let workers: Vec<_> = (0..8_usize)
        .map(|worker| {
            let (database, ambient) = (setting.database.clone(), setting.ambient.clone());
            tokio::spawn(async move {
                for round in 0..40 {
                    let place = worker * 7 + round;
                    let operations = (0..names.len())
                        .map(|step| {
                            let stride = 1 + worker % (names.len() - 1);
                            let id = names[(place + step * stride) % names.len()];
                            if (place + step) % 3 == 0 {
                                check(id, Expect::Exists)
                            } else {
                                Operation::Increment { key: key(id), field: "count", by: 1, at_least: None }
                            }
                        })
                        .collect();
                    database.commit(&Batch::new(operations, &ambient).unwrap()).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(deadlocks().await, before);
    setting.schema.drop().await;
}
