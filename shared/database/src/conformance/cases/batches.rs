use serde_json::{Value, json};

use crate::conformance::Store;
use crate::conformance::words::{body, check, create, delete, increment, increment_at_least, key, replace};
use crate::{
    Batch, Cause, Collection, Document, Error, Expect, Field, Index, Operation, Query, Search, Unique,
};

const ITEMS: &Collection = &Collection::new("items")
    .fields(&[Field::string("shelf"), Field::string("code"), Field::string("title"), Field::integer("stock")])
    .indexes(&[Index::new("by_shelf").partition(&["shelf"])])
    .uniques(&[Unique::new("code", &["code"])])
    .search(&["title"])
    .counters(&["stock"]);

const PLAIN: &Collection = &Collection::new("plain");

fn item(code: &str) -> Value {
    json!({"shelf": "s", "code": code, "title": format!("title {code}"), "stock": 3})
}

fn refused(store: &Store, operations: Vec<Operation>) -> Error {
    Batch::new(operations, store.ambient()).expect_err("the batch is refused before it is sent")
}

pub async fn a_document_has_one_operation_in_a_batch(store: Store) {
    let twice = vec![create(PLAIN, "p", json!({})), check(PLAIN, "p", Expect::Absent)];
    assert_eq!(refused(&store, twice), Error::Invalid("plain/p has two operations in one batch".to_owned()));
}

pub async fn a_batch_without_operations_is_refused(store: Store) {
    let refusal = Error::Invalid("a batch needs at least one operation".to_owned());
    assert_eq!(refused(&store, Vec::new()), refusal);
}

pub async fn a_hundred_items_are_committed_and_one_more_is_refused(store: Store) {
    store.migrate(&[PLAIN]).await;
    let many = |count: usize| (0..count).map(|n| create(PLAIN, &n.to_string(), json!({"n": n}))).collect();
    assert!(matches!(refused(&store, many(101)), Error::Limit(_)));
    let versions = store.commit(many(100)).await.expect("a hundred items are accepted");
    for (n, version) in versions.into_iter().enumerate() {
        let document = store.get(PLAIN, &n.to_string()).await.expect("the document exists");
        assert_eq!((document.body["n"].as_u64(), document.version), (Some(n as u64), version));
    }
}

/// Each document has a guard and two terms: four items.
pub async fn guards_and_terms_count_as_items(store: Store) {
    store.migrate(&[ITEMS]).await;
    let many = || (0..25).map(|n| create(ITEMS, &n.to_string(), item(&n.to_string())));
    let one_more = many().chain([check(ITEMS, "other", Expect::Absent)]).collect();
    assert!(matches!(refused(&store, one_more), Error::Limit(_)));
    store.commit(many().collect()).await.expect("a hundred items are accepted");

    // Unchanged unique values and terms do not count as items.
    let stored = store.get(ITEMS, "0").await.expect("the document exists");
    let changed = json!({"shelf": "other", "code": "0", "title": "title 0", "stock": 9});
    let checks = (0..99).map(|n| check(ITEMS, &format!("absent-{n}"), Expect::Absent));
    store
        .commit(checks.chain([replace(&stored, changed)]).collect())
        .await
        .expect("a hundred items are accepted");
    // One guard is released and one is claimed, one term is removed and one is added: four more items.
    let stored = store.get(ITEMS, "0").await.expect("the document exists");
    let renamed = replace(&stored, item("new"));
    let with_checks = |count: usize| {
        let checks = (0..count).map(|n| check(ITEMS, &format!("absent-{n}"), Expect::Absent));
        checks.chain([renamed.clone()]).collect()
    };
    assert!(matches!(refused(&store, with_checks(96)), Error::Limit(_)));
    store.commit(with_checks(95)).await.expect("a hundred items are accepted");
    assert_eq!(store.holder(ITEMS, "code", "new").await.as_deref(), Some("0"));
}

pub async fn a_batch_of_megabytes_is_committed_and_refused_over_the_limit(store: Store) {
    store.migrate(&[PLAIN]).await;
    let text = "x".repeat(340_000);
    let many = |count: usize| {
        (0..count).map(|n| create(PLAIN, &n.to_string(), json!({"text": text}))).collect::<Vec<_>>()
    };
    assert!(matches!(refused(&store, many(13)), Error::Limit(_)));
    store.commit(many(12)).await.expect("less than four megabytes are accepted");
    for n in 0..12 {
        let document = store.get(PLAIN, &n.to_string()).await.expect("the document exists");
        assert_eq!(document.body["text"].as_str().map(str::len), Some(340_000));
    }
}

pub async fn every_kind_of_operation_fits_in_one_batch_across_collections(store: Store) {
    store.migrate(&[ITEMS, PLAIN]).await;
    let [a, b, _] = three_items(&store).await;
    let checked = store.create(PLAIN, "checked", json!({"checked": true})).await;
    let operations = vec![
        check(PLAIN, "checked", Expect::Version(checked.version)),
        replace(&a, item("a2")),
        delete(&b),
        increment(ITEMS, "c", "stock", 4),
        create(PLAIN, "created", json!({"created": true})),
    ];
    store.commit(operations).await.expect("the batch is accepted");
    assert_eq!(store.get(ITEMS, "a").await.map(|a| a.body), Some(body(item("a2"))));
    assert_eq!(store.get(ITEMS, "b").await, None);
    assert_eq!(store.get(ITEMS, "c").await.map(|c| c.body["stock"].clone()), Some(json!(7)));
    assert_eq!(store.get(PLAIN, "created").await.map(|p| p.body), Some(body(json!({"created": true}))));
    assert_eq!(store.get(PLAIN, "checked").await, Some(checked));
}

async fn three_items(store: &Store) -> [Document; 3] {
    [
        store.create(ITEMS, "a", item("a")).await,
        store.create(ITEMS, "b", item("b")).await,
        store.create(ITEMS, "c", item("c")).await,
    ]
}

/// One failing operation for every cause.
async fn failing_operations(store: &Store) -> Vec<(Operation, Cause)> {
    let old = store.create(ITEMS, "old", item("old")).await;
    let gone = store.create(ITEMS, "gone", item("gone")).await;
    store.replace(&old, item("old")).await;
    store.delete(&gone).await;
    vec![
        (create(ITEMS, "old", item("x")), Cause::AlreadyExists),
        (replace(&gone, item("x")), Cause::NotFound),
        (delete(&gone), Cause::NotFound),
        (increment(ITEMS, "gone", "stock", 1), Cause::NotFound),
        (replace(&old, item("x")), Cause::VersionMismatch),
        (delete(&old), Cause::VersionMismatch),
        (check(ITEMS, "old", Expect::Absent), Cause::CheckFailed),
        (check(ITEMS, "gone", Expect::Exists), Cause::CheckFailed),
        (check(ITEMS, "old", Expect::Version(old.version)), Cause::CheckFailed),
        (create(ITEMS, "new", item("old")), Cause::UniqueTaken { attribute: "code" }),
        (increment_at_least(ITEMS, "old", "stock", -4, 0), Cause::BelowMinimum),
        (increment(ITEMS, "old", "stock", i64::MAX), Cause::Overflow),
    ]
}

/// Inserts a failing operation at `place` among operations of every kind, for every cause, and expects that
/// nothing changes.
async fn nothing_is_left_behind(store: Store, place: usize) {
    store.migrate(&[ITEMS]).await;
    let [a, b, c] = three_items(&store).await;
    for (failing, cause) in failing_operations(&store).await {
        let mut operations = vec![
            create(ITEMS, "d", item("d")),
            replace(&a, json!({"shelf": "other", "code": "e", "title": "unheard", "stock": 0})),
            delete(&b),
            increment(ITEMS, "c", "stock", 1),
        ];
        operations.insert(place, failing);
        assert_eq!(store.rejection(operations).await, (place, cause));
        for before in [&a, &b, &c] {
            assert_eq!(store.get(ITEMS, before.key.id()).await.as_ref(), Some(before), "{cause:?}");
        }
        assert_eq!(store.get(ITEMS, "d").await, None, "{cause:?}");
        for (code, holder) in [("a", Some("a")), ("b", Some("b")), ("d", None), ("e", None), ("x", None)] {
            assert_eq!(store.holder(ITEMS, "code", code).await.as_deref(), holder, "{cause:?}: {code}");
        }
    }
    // Once an index shows this document, it shows everything that was written before.
    store.create(ITEMS, "z", item("z")).await;
    let shelf = |shelf: &str| Query::new(ITEMS, "by_shelf").partition([shelf]);
    store.expect_query(&shelf("s"), &["a", "b", "c", "old", "z"]).await;
    store.expect_query(&shelf("other"), &[]).await;
    store.expect_search(&Search::new(ITEMS, "title"), &["a", "b", "c", "old", "z"]).await;
    store.expect_search(&Search::new(ITEMS, "d"), &[]).await;
    store.expect_search(&Search::new(ITEMS, "unheard"), &[]).await;
    // No guard is left behind, so all operations are accepted now.
    let all = vec![
        create(ITEMS, "d", item("d")),
        replace(&a, item("e")),
        delete(&b),
        increment(ITEMS, "c", "stock", 1),
        create(ITEMS, "x", item("x")),
    ];
    store.commit(all).await.expect("nothing conflicts");
}

pub async fn a_failure_of_the_first_operation_leaves_nothing_behind(store: Store) {
    nothing_is_left_behind(store, 0).await;
}

pub async fn a_failure_of_a_middle_operation_leaves_nothing_behind(store: Store) {
    nothing_is_left_behind(store, 2).await;
}

pub async fn a_failure_of_the_last_operation_leaves_nothing_behind(store: Store) {
    nothing_is_left_behind(store, 4).await;
}

/// The failing operations come in rising and falling order of their causes. The lowest operation is always
/// reported.
pub async fn the_lowest_of_several_failing_operations_is_reported(store: Store) {
    store.migrate(&[ITEMS, PLAIN]).await;
    three_items(&store).await;
    store.create(PLAIN, "p", json!({})).await;
    let failures = [
        (create(PLAIN, "p", json!({})), Cause::AlreadyExists),
        (increment(ITEMS, "absent", "stock", 1), Cause::NotFound),
        (check(ITEMS, "a", Expect::Absent), Cause::CheckFailed),
        (create(ITEMS, "d", item("b")), Cause::UniqueTaken { attribute: "code" }),
        (increment_at_least(ITEMS, "b", "stock", -4, 0), Cause::BelowMinimum),
        (increment(ITEMS, "c", "stock", i64::MAX), Cause::Overflow),
    ];
    for first in 0..failures.len() {
        let rising = failures.iter().cycle().skip(first).take(failures.len());
        let falling = failures.iter().rev().cycle().skip(first).take(failures.len());
        for order in [rising.collect::<Vec<_>>(), falling.collect()] {
            // Valid operations come first, so that the lowest failure is not simply the first operation.
            let fitting = [create(PLAIN, "fits", json!({})), check(PLAIN, "absent", Expect::Absent)];
            let failing = order.iter().map(|(operation, _)| operation.clone());
            let refused = store.rejection(fitting.into_iter().chain(failing).collect()).await;
            assert_eq!(refused, (2, order[0].1));
        }
    }
    assert_eq!(store.get(PLAIN, "fits").await, None);
}

pub async fn existence_comes_before_uniqueness(store: Store) {
    store.migrate(&[ITEMS]).await;
    let [_, b, _] = three_items(&store).await;
    assert_eq!(store.rejection(vec![create(ITEMS, "b", item("a"))]).await, (0, Cause::AlreadyExists));
    store.delete(&b).await;
    assert_eq!(store.rejection(vec![replace(&b, item("a"))]).await, (0, Cause::NotFound));
}

pub async fn existence_comes_before_the_version(store: Store) {
    store.migrate(&[ITEMS]).await;
    let [a, ..] = three_items(&store).await;
    let newer = store.replace(&a, item("a")).await;
    store.delete(&newer).await;
    assert_eq!(store.rejection(vec![replace(&a, item("a"))]).await, (0, Cause::NotFound));
    assert_eq!(store.rejection(vec![delete(&a)]).await, (0, Cause::NotFound));
}

pub async fn the_version_comes_before_uniqueness(store: Store) {
    store.migrate(&[ITEMS]).await;
    let [a, ..] = three_items(&store).await;
    store.replace(&a, item("a")).await;
    assert_eq!(store.rejection(vec![replace(&a, item("b"))]).await, (0, Cause::VersionMismatch));
}

pub async fn existence_comes_before_the_minimum(store: Store) {
    store.migrate(&[ITEMS]).await;
    let absent = vec![increment_at_least(ITEMS, "absent", "stock", -1, 0)];
    assert_eq!(store.rejection(absent).await, (0, Cause::NotFound));
}

pub async fn the_minimum_comes_before_overflow(store: Store) {
    store.migrate(&[ITEMS]).await;
    store.create(ITEMS, "a", json!({"stock": -2})).await;
    let both = vec![increment_at_least(ITEMS, "a", "stock", i64::MIN, 0)];
    assert_eq!(store.rejection(both).await, (0, Cause::BelowMinimum));
}

pub async fn a_lower_taken_value_comes_before_a_higher_missing_document(store: Store) {
    store.migrate(&[ITEMS]).await;
    let [a, ..] = three_items(&store).await;
    let taken = Cause::UniqueTaken { attribute: "code" };
    let operations = vec![replace(&a, item("b")), increment(ITEMS, "absent", "stock", 1)];
    assert_eq!(store.rejection(operations).await, (0, taken));
    let operations = vec![
        check(ITEMS, "absent", Expect::Absent),
        create(ITEMS, "d", item("b")),
        create(ITEMS, "c", item("c2")),
    ];
    assert_eq!(store.rejection(operations).await, (1, taken));
}

/// The claim would be accepted if the document that is to release the value were still in the state that was read.
pub async fn a_claim_of_a_value_that_a_stale_operation_releases_is_not_blamed(store: Store) {
    store.migrate(&[ITEMS]).await;
    let [a, b, _] = three_items(&store).await;
    store.replace(&a, json!({"code": "a", "stock": 8})).await;
    let operations = vec![create(ITEMS, "d", item("a")), delete(&a)];
    assert_eq!(store.rejection(operations).await, (1, Cause::VersionMismatch));
    // Another document has taken the value. Now the claim, which comes first, is rejected too.
    let moved = store.get(ITEMS, "a").await.expect("the document exists");
    store.replace(&moved, item("a2")).await;
    store.replace(&b, item("a")).await;
    let operations = vec![create(ITEMS, "d", item("a")), delete(&a)];
    assert_eq!(store.rejection(operations).await, (0, Cause::UniqueTaken { attribute: "code" }));
}

pub async fn a_batch_with_an_invalid_document_is_not_sent(store: Store) {
    store.migrate(&[ITEMS]).await;
    let invalid = vec![create(ITEMS, "a", item("a")), create(ITEMS, "b", json!({"code": 5, "stock": 0}))];
    let outcome = store.commit(invalid).await;
    assert_eq!(outcome, Err(Error::Invalid("`code` of items/b must be a string".to_owned())));
    assert_eq!(store.backend().get(&key(ITEMS, "a")).await, Ok(None));
}
