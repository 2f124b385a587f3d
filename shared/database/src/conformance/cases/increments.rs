use serde_json::{Value, json};

use crate::conformance::Store;
use crate::conformance::words::{at_once, create, increment, increment_at_least, replace};
use crate::{Batch, Cause, Collection, Error, Field, Filter, Index, Query, Search, Unique};

const STOCK: &Collection = &Collection::new("stock")
    .fields(&[
        Field::integer("available"),
        Field::integer("reserved"),
        Field::string("sku"),
        Field::string("name"),
        Field::string("shelf"),
    ])
    .indexes(&[Index::new("on_shelf").partition(&["shelf"])])
    .uniques(&[Unique::new("sku", &["sku"])])
    .search(&["name"])
    .counters(&["available", "reserved"]);

fn stock(available: i64) -> Value {
    json!({"available": available, "reserved": 0})
}

async fn available(store: &Store, id: &str) -> i64 {
    let document = store.get(STOCK, id).await.expect("the document exists");
    document.body["available"].as_i64().expect("a counter is an integer")
}

pub async fn an_increment_adds_and_sets_a_new_version(store: Store) {
    store.migrate(&[STOCK]).await;
    let before = store.create(STOCK, "s", stock(5)).await;
    let mut versions = vec![before.version];
    for (by, sum) in [(1, 6), (-10, -4), (0, -4), (1_000_000, 999_996)] {
        let answer =
            store.commit(vec![increment(STOCK, "s", "available", by)]).await.expect("the document exists");
        let document = store.get(STOCK, "s").await.expect("the document exists");
        assert_eq!((document.body["available"].as_i64(), &answer[..]), (Some(sum), &[document.version][..]));
        assert!(!versions.contains(&document.version));
        versions.push(document.version);
    }
    // The state from before the increments is out of date.
    assert_eq!(store.rejection(vec![replace(&before, stock(0))]).await, (0, Cause::VersionMismatch));
}

pub async fn an_increment_changes_only_its_counter(store: Store) {
    store.migrate(&[STOCK]).await;
    let body = json!({
        "available": 1, "reserved": 7, "sku": "x-1", "name": "red shoe", "shelf": "a",
        "more": {"null": null, "list": [0.1, 1e19, ""], "n": i64::MAX},
    });
    store.create(STOCK, "s", body.clone()).await;
    store.commit(vec![increment(STOCK, "s", "available", 2)]).await.expect("the document exists");
    let after = store.get(STOCK, "s").await.expect("the document exists");
    let mut expected = body;
    expected["available"] = json!(3);
    assert_eq!(Value::Object(after.body.clone()), expected);
    // Lookups, queries and searches find the document in its new state.
    assert_eq!(store.lookup(STOCK, "sku", "x-1").await.as_ref(), Some(&after));
    let query = Query::new(STOCK, "on_shelf").partition(["a"]).filter(Filter::equals("available", 3));
    let queried = || async { store.backend().query(&query).await.expect("the query succeeds").documents };
    store.eventually(vec![after.clone()], queried).await;
    let search = Search::new(STOCK, "shoe");
    let searched = || async { store.backend().search(&search).await.expect("the search succeeds").documents };
    store.eventually(vec![after], searched).await;
}

pub async fn an_increment_below_its_floor_is_rejected(store: Store) {
    store.migrate(&[STOCK]).await;
    store.create(STOCK, "s", stock(5)).await;
    let take = |count: i64, floor: i64| vec![increment_at_least(STOCK, "s", "available", -count, floor)];
    assert_eq!(store.rejection(take(6, 0)).await, (0, Cause::BelowMinimum));
    store.commit(take(5, 0)).await.expect("the result may equal the floor");
    assert_eq!(store.rejection(take(1, 0)).await, (0, Cause::BelowMinimum));
    assert_eq!(store.rejection(take(0, 1)).await, (0, Cause::BelowMinimum));
    store.commit(take(3, -3)).await.expect("the floor is lower");
    // A floor applies to the result, so an addition can be rejected too.
    assert_eq!(store.rejection(take(-2, 0)).await, (0, Cause::BelowMinimum));
    store.commit(take(-3, 0)).await.expect("the result equals the floor");
    assert_eq!(available(&store, "s").await, 0);
}

pub async fn a_rejected_increment_keeps_the_version(store: Store) {
    store.migrate(&[STOCK]).await;
    let before = store.create(STOCK, "s", stock(1)).await;
    let refused = vec![increment_at_least(STOCK, "s", "available", -2, 0)];
    assert_eq!(store.rejection(refused).await, (0, Cause::BelowMinimum));
    let beside = vec![increment(STOCK, "s", "available", 1), increment(STOCK, "absent", "available", 1)];
    assert_eq!(store.rejection(beside).await, (1, Cause::NotFound));
    assert_eq!(store.get(STOCK, "s").await, Some(before));
}

pub async fn overflow_is_rejected_at_both_bounds(store: Store) {
    store.migrate(&[STOCK]).await;
    store.create(STOCK, "s", stock(i64::MAX - 1)).await;
    let add = |by: i64| vec![increment(STOCK, "s", "available", by)];
    store.commit(add(1)).await.expect("the upper bound can be reached");
    assert_eq!(available(&store, "s").await, i64::MAX);
    for by in [1, 2, i64::MAX] {
        assert_eq!(store.rejection(add(by)).await, (0, Cause::Overflow));
    }
    store.commit(add(i64::MIN)).await.expect("the result is minus one");
    assert_eq!(available(&store, "s").await, -1);
    store.commit(add(-i64::MAX)).await.expect("the lower bound can be reached");
    assert_eq!(available(&store, "s").await, i64::MIN);
    for by in [-1, -2, i64::MIN] {
        assert_eq!(store.rejection(add(by)).await, (0, Cause::Overflow));
    }
    let at_least = vec![increment_at_least(STOCK, "s", "available", 0, i64::MIN)];
    store.commit(at_least).await.expect("the lowest floor allows every result");
    assert_eq!(available(&store, "s").await, i64::MIN);
    let below = vec![increment_at_least(STOCK, "s", "available", -1, i64::MIN)];
    assert_eq!(store.rejection(below).await, (0, Cause::BelowMinimum));
}

pub async fn an_increment_needs_its_document(store: Store) {
    store.migrate(&[STOCK]).await;
    let add = vec![increment(STOCK, "s", "available", 1)];
    assert_eq!(store.rejection(add.clone()).await, (0, Cause::NotFound));
    let document = store.create(STOCK, "s", stock(0)).await;
    store.delete(&document).await;
    assert_eq!(store.rejection(add).await, (0, Cause::NotFound));
    assert_eq!(store.get(STOCK, "s").await, None);
}

pub async fn only_a_declared_counter_is_incremented(store: Store) {
    for field in ["name", "shelf", "unknown", ""] {
        let refused = Batch::new(vec![increment(STOCK, "s", field, 1)], store.ambient());
        let message = format!("the collection `stock` declares no counter `{field}`");
        assert_eq!(refused.expect_err("the batch is refused"), Error::Invalid(message));
    }
}

pub async fn a_document_without_its_counters_is_refused(store: Store) {
    store.migrate(&[STOCK]).await;
    let document = store.create(STOCK, "s", stock(0)).await;
    for body in [
        json!({"available": 1}),
        json!({"available": 1, "reserved": null}),
        json!({"available": 1, "reserved": "1"}),
        json!({"available": 1, "reserved": 1.5}),
    ] {
        for operation in [create(STOCK, "t", body.clone()), replace(&document, body)] {
            let outcome = store.commit(vec![operation]).await;
            assert!(matches!(outcome, Err(Error::Invalid(_))), "{outcome:?}");
        }
    }
}

pub async fn increments_of_a_batch_are_applied_atomically(store: Store) {
    store.migrate(&[STOCK]).await;
    for (id, count) in [("a", 3), ("b", 2), ("c", 1)] {
        store.create(STOCK, id, stock(count)).await;
    }
    let take_one_each =
        || ["a", "b", "c"].map(|id| increment_at_least(STOCK, id, "available", -1, 0)).to_vec();
    store.commit(take_one_each()).await.expect("one of each is available");
    assert_eq!(store.rejection(take_one_each()).await, (2, Cause::BelowMinimum));
    for (id, left) in [("a", 2), ("b", 1), ("c", 0)] {
        assert_eq!(available(&store, id).await, left, "{id}");
    }
}

pub async fn many_writers_add_up_exactly(store: Store) {
    const WRITERS: usize = 16;
    const TURNS: usize = 10;
    store.migrate(&[STOCK]).await;
    store.create(STOCK, "s", stock(0)).await;
    let stores = [store.clone(), store.another().await];
    at_once((0..WRITERS).map(|writer| {
        let store = stores[writer % 2].clone();
        async move {
            for _ in 0..TURNS {
                let add = vec![increment(STOCK, "s", "available", 3)];
                store.commit_patiently(add).await.expect("the increment is applied");
            }
        }
    }))
    .await;
    assert_eq!(available(&store, "s").await, 480);
}

pub async fn many_takers_never_take_more_than_there_is(store: Store) {
    const TAKERS: usize = 16;
    const TURNS: usize = 8;
    store.migrate(&[STOCK]).await;
    store.create(STOCK, "s", stock(100)).await;
    let stores = [store.clone(), store.another().await];
    let taken = at_once((0..TAKERS).map(|taker| {
        let store = stores[taker % 2].clone();
        async move {
            let mut taken = 0;
            for _ in 0..TURNS {
                let take = vec![increment_at_least(STOCK, "s", "available", -1, 0)];
                match store.commit_patiently(take).await {
                    Ok(_) => taken += 1,
                    Err(error) => {
                        let cause = error.rejection().map(|rejection| rejection.cause);
                        assert_eq!(cause, Some(Cause::BelowMinimum), "{error}");
                    }
                }
            }
            taken
        }
    }))
    .await;
    assert_eq!(taken.iter().sum::<i64>(), 100);
    assert_eq!(available(&store, "s").await, 0);
}
