use std::time::Duration;

use serde_json::{Value, json};
use switchyard_ambient::Timestamp;

use crate::conformance::Store;
use crate::conformance::words::{at_once, body, create, delete, ids, increment, key, replace};
use crate::{Addition, Cause, Collection, Error, Expect, Field, Operation, Result, Scan};

const HITS: &Collection = &Collection::new("hits")
    .fields(&[Field::integer("count"), Field::string("page"), Field::integer("others")])
    .tally("count")
    .expiring();

/// Adds a document, and returns the tally afterwards.
async fn add(
    store: &Store,
    collection: &'static Collection,
    id: &str,
    content: Value,
    expires_at: Option<Timestamp>,
) -> Result<i64> {
    let addition = Addition::new(key(collection, id), body(content), expires_at, store.ambient())?;
    store.backend().add(&addition).await
}

async fn count(store: &Store, id: &str, amount: i64) -> Result<i64> {
    add(store, HITS, id, json!({ "count": amount }), None).await
}

pub async fn an_addition_creates_its_document_and_adds_to_it(store: Store) {
    store.migrate(&[HITS]).await;
    for (amount, sum) in [(5, 5), (1, 6), (-10, -4), (0, -4), (1_000_000, 999_996)] {
        assert_eq!(count(&store, "h", amount).await, Ok(sum));
        let document = store.get(HITS, "h").await.expect("the document exists");
        assert_eq!(Value::Object(document.body), json!({ "count": sum }));
    }
    assert_eq!(count(&store, "another", 1).await, Ok(1));
    let scanned = || async {
        let mut scanned = ids(&store.scan_pages(&Scan::new(HITS)).await.concat());
        scanned.sort();
        scanned
    };
    store.eventually(vec!["another".to_owned(), "h".to_owned()], scanned).await;
}

pub async fn an_addition_sets_a_new_version(store: Store) {
    store.migrate(&[HITS]).await;
    let mut versions = Vec::new();
    for _ in 0..3 {
        count(&store, "h", 1).await.expect("the tally is small");
        let document = store.get(HITS, "h").await.expect("the document exists");
        assert!(!versions.contains(&document.version));
        versions.push(document.version);
    }
    let check = |version| vec![Operation::Check { key: key(HITS, "h"), expect: Expect::Version(version) }];
    store.commit(check(versions[2])).await.expect("the version is the present one");
    assert_eq!(store.rejection(check(versions[1])).await, (0, Cause::CheckFailed));
}

pub async fn an_addition_keeps_the_other_fields_and_sets_the_expiry(store: Store) {
    store.migrate(&[HITS]).await;
    let at = |seconds| Some(store.now() + Duration::from_secs(seconds));
    let first = json!({ "count": 1, "page": "a", "others": 7, "more": [1.5, null, { "x": "y" }] });
    assert_eq!(add(&store, HITS, "h", first.clone(), at(10)).await, Ok(1));
    let later = json!({ "count": 2, "page": "b", "others": 9, "new": true });
    for expires_at in [at(20), None, at(30)] {
        add(&store, HITS, "h", later.clone(), expires_at).await.expect("the tally is small");
        let document = store.get(HITS, "h").await.expect("the document exists");
        assert_eq!(document.expires_at, expires_at);
    }
    let document = store.get(HITS, "h").await.expect("the document exists");
    let mut expected = first;
    expected["count"] = json!(7);
    assert_eq!(Value::Object(document.body), expected);
}

pub async fn an_expired_tally_begins_again(store: Store) {
    store.migrate(&[HITS]).await;
    let expires_at = Some(store.now() + Duration::from_secs(10));
    let first = json!({ "count": 5, "page": "a" });
    assert_eq!(add(&store, HITS, "h", first, expires_at).await, Ok(5));
    store.clock.advance(Duration::from_micros(9_999_999));
    assert_eq!(add(&store, HITS, "h", json!({ "count": 2 }), expires_at).await, Ok(7));
    store.clock.advance(Duration::from_micros(1));
    let expires_at = Some(store.now() + Duration::from_secs(10));
    assert_eq!(add(&store, HITS, "h", json!({ "count": 3, "others": 1 }), expires_at).await, Ok(3));
    let document = store.get(HITS, "h").await.expect("the document exists");
    assert_eq!(
        (Value::Object(document.body), document.expires_at),
        (json!({ "count": 3, "others": 1 }), expires_at)
    );
    store.clock.advance(Duration::from_secs(11));
    assert_eq!(store.backend().sweep_expired(100).await, Ok(1));
    assert_eq!(count(&store, "h", 1).await, Ok(1));
}

pub async fn a_deleted_tally_begins_again(store: Store) {
    store.migrate(&[HITS]).await;
    assert_eq!(count(&store, "h", 5).await, Ok(5));
    let document = store.get(HITS, "h").await.expect("the document exists");
    assert_eq!(count(&store, "h", 1).await, Ok(6));
    assert_eq!(store.rejection(vec![delete(&document)]).await, (0, Cause::VersionMismatch));
    let document = store.get(HITS, "h").await.expect("the document exists");
    store.delete(&document).await;
    assert_eq!(store.get(HITS, "h").await, None);
    assert_eq!(count(&store, "h", 2).await, Ok(2));
}

/// Adds 1 from many tasks and two instances at once. Returns all sums in ascending order.
async fn sums_of(store: &Store, expires_at: Option<Timestamp>) -> Vec<i64> {
    let another = store.another().await;
    let tasks = (0..40).map(|task| {
        let store = if task % 2 == 0 { store.clone() } else { another.clone() };
        async move {
            let mut sums = Vec::new();
            for _ in 0..3 {
                // An addition is never applied twice, so one that was not applied may be repeated.
                loop {
                    match add(&store, HITS, "h", json!({ "count": 1 }), expires_at).await {
                        Ok(sum) => break sums.push(sum),
                        Err(error) if error.is_retryable() => {}
                        Err(error) => panic!("the addition failed: {error}"),
                    }
                }
            }
            sums
        }
    });
    let mut sums = at_once(tasks).await.concat();
    sums.sort_unstable();
    sums
}

pub async fn concurrent_additions_each_get_their_own_sum(store: Store) {
    store.migrate(&[HITS]).await;
    assert_eq!(sums_of(&store, None).await, (1..=120).collect::<Vec<_>>());
}

pub async fn concurrent_additions_over_an_expired_document_each_get_their_own_sum(store: Store) {
    store.migrate(&[HITS]).await;
    let expires_at = Some(store.now() + Duration::from_secs(1));
    assert_eq!(add(&store, HITS, "h", json!({ "count": 1000 }), expires_at).await, Ok(1000));
    store.clock.advance(Duration::from_secs(2));
    let expires_at = Some(store.now() + Duration::from_secs(60));
    assert_eq!(sums_of(&store, expires_at).await, (1..=120).collect::<Vec<_>>());
}

pub async fn a_tally_that_would_overflow_is_rejected(store: Store) {
    store.migrate(&[HITS]).await;
    let overflow =
        |result: Result<i64>| result.expect_err("the sum is out of range").is_rejection_for(Cause::Overflow);
    assert_eq!(count(&store, "h", i64::MAX).await, Ok(i64::MAX));
    for amount in [1, i64::MAX] {
        assert!(overflow(count(&store, "h", amount).await));
    }
    assert_eq!(count(&store, "h", i64::MIN).await, Ok(-1));
    assert_eq!(count(&store, "h", -i64::MAX).await, Ok(i64::MIN));
    for amount in [-1, i64::MIN] {
        assert!(overflow(count(&store, "h", amount).await));
    }
    assert_eq!(count(&store, "h", 0).await, Ok(i64::MIN));
}

pub async fn a_tally_may_have_any_name(store: Store) {
    const ODD: &Collection =
        &Collection::new("odd").fields(&[Field::integer("$.a\"'#: {0}")]).tally("$.a\"'#: {0}");
    store.migrate(&[ODD]).await;
    for sum in [2, 4] {
        assert_eq!(add(&store, ODD, "o", json!({ "$.a\"'#: {0}": 2, "a": 1 }), None).await, Ok(sum));
        let document = store.get(ODD, "o").await.expect("the document exists");
        assert_eq!(Value::Object(document.body), json!({ "$.a\"'#: {0}": sum, "a": 1 }));
    }
}

pub async fn documents_with_a_tally_are_written_by_additions_alone(store: Store) {
    store.migrate(&[HITS]).await;
    assert_eq!(count(&store, "h", 1).await, Ok(1));
    let document = store.get(HITS, "h").await.expect("the document exists");
    let writes = [
        create(HITS, "i", json!({ "count": 1 })),
        replace(&document, json!({ "count": 2 })),
        increment(HITS, "h", "count", 1),
    ];
    for write in writes {
        let refused = store.commit(vec![write]).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    assert_eq!(store.get(HITS, "h").await, Some(document));
}

pub async fn an_addition_needs_a_declared_integer(store: Store) {
    const PLAIN: &Collection =
        &Collection::new("plain").fields(&[Field::integer("count")]).counters(&["count"]);
    store.migrate(&[HITS, PLAIN]).await;
    for (collection, content) in [
        (PLAIN, json!({ "count": 1 })),
        (HITS, json!({})),
        (HITS, json!({ "count": null })),
        (HITS, json!({ "count": "1" })),
        (HITS, json!({ "count": 1.5 })),
    ] {
        let refused = add(&store, collection, "x", content, None).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
        assert_eq!(store.get(collection, "x").await, None);
    }
    let expiring = add(&store, PLAIN, "x", json!({ "count": 1 }), Some(store.now())).await;
    assert!(matches!(expiring, Err(Error::Invalid(_))), "{expiring:?}");
}
