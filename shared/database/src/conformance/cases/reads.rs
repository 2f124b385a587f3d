use serde_json::json;

use crate::conformance::Store;
use crate::conformance::words::{create, key, replace};
use crate::{Collection, Consistency, Document, Error, Field, Key, Unique};

const PEOPLE: &Collection = &Collection::new("people")
    .fields(&[Field::string("email"), Field::string("name")])
    .uniques(&[Unique::new("email", &["email"])]);

const PLACES: &Collection = &Collection::new("places");

async fn get_many(store: &Store, keys: &[Key]) -> Vec<Option<Document>> {
    store.backend().get_many(keys, Consistency::Linearizable).await.expect("the documents are read")
}

pub async fn a_ping_succeeds(store: Store) {
    assert_eq!(store.backend().ping().await, Ok(()));
}

pub async fn a_document_that_was_never_written_is_absent(store: Store) {
    store.migrate(&[PEOPLE]).await;
    assert_eq!(store.get(PEOPLE, "p").await, None);
    assert_eq!(get_many(&store, &[key(PEOPLE, "p")]).await, [None]);
    assert_eq!(store.lookup(PEOPLE, "email", "p@example.org").await, None);
}

pub async fn a_document_is_read_as_it_was_written(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let body = json!({"email": "p@example.org", "more": {"list": [1, "two", null, true]}});
    let written = store.create(PEOPLE, "p", body.clone()).await;
    assert_eq!(serde_json::Value::Object(written.body.clone()), body);
    assert_eq!(written.key, key(PEOPLE, "p"));
    assert_eq!(written.expires_at, None);
    assert_eq!(get_many(&store, &[key(PEOPLE, "p")]).await, [Some(written.clone())]);
    assert_eq!(store.lookup(PEOPLE, "email", "p@example.org").await, Some(written));
}

pub async fn a_replaced_document_keeps_nothing_of_its_old_content(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let first = store.create(PEOPLE, "p", json!({"email": "p@example.org", "a": 1, "b": {"c": 2}})).await;
    let second = store.replace(&first, json!({"b": {"d": 3}})).await;
    assert_eq!(serde_json::Value::Object(second.body), json!({"b": {"d": 3}}));
}

pub async fn documents_with_the_same_id_in_two_collections_are_separate(store: Store) {
    store.migrate(&[PEOPLE, PLACES]).await;
    let person = store.create(PEOPLE, "x", json!({"name": "person"})).await;
    let place = store.create(PLACES, "x", json!({"name": "place"})).await;
    assert_eq!(store.get(PEOPLE, "x").await, Some(person.clone()));
    store.delete(&person).await;
    assert_eq!(store.get(PLACES, "x").await, Some(place));
}

pub async fn ids_are_compared_byte_by_byte(store: Store) {
    store.migrate(&[PLACES]).await;
    let ids = [
        "a", "A", "a ", " a", "á", "a\u{301}", "ａ", "ß", "ss", "a/b", "a%", "a_", "'", "\"", "\\", "a#b",
        "a:b", "..", "\u{1}", "\u{ffff}", "😀", "null", "0", "00",
    ];
    for id in ids {
        store.create(PLACES, id, json!({"is": id})).await;
    }
    for id in ids {
        let document = store.get(PLACES, id).await.expect("the document exists");
        assert_eq!((document.key.id(), &document.body["is"]), (id, &json!(id)));
    }
    let keys: Vec<Key> = ids.iter().map(|id| key(PLACES, id)).collect();
    let found = get_many(&store, &keys).await;
    let found: Vec<&str> = found.iter().flatten().map(|document| document.key.id()).collect();
    assert_eq!(found, ids);
}

pub async fn ids_have_one_to_256_bytes(store: Store) {
    store.migrate(&[PLACES]).await;
    for id in ["i".to_owned(), "i".repeat(256), "é".repeat(128), "😀".repeat(64)] {
        let document = store.create(PLACES, &id, json!({})).await;
        assert_eq!(document.key.id(), id);
    }
    for id in [String::new(), "i".repeat(257), format!("{}x", "é".repeat(128))] {
        assert!(matches!(Key::new(PLACES, id), Err(Error::Limit(_))));
    }
    assert!(matches!(Key::new(PLACES, "a\0b"), Err(Error::Invalid(_))));
}

pub async fn get_many_keeps_the_order_of_its_keys_with_absent_and_repeated_ones(store: Store) {
    store.migrate(&[PEOPLE, PLACES]).await;
    let a = store.create(PEOPLE, "a", json!({"name": "a"})).await;
    let b = store.create(PEOPLE, "b", json!({"name": "b"})).await;
    let place = store.create(PLACES, "a", json!({"name": "place"})).await;
    let keys = [
        key(PEOPLE, "b"),
        key(PEOPLE, "hole"),
        key(PLACES, "a"),
        key(PEOPLE, "a"),
        key(PEOPLE, "b"),
        key(PLACES, "b"),
        key(PEOPLE, "hole"),
    ];
    let expected = [Some(b.clone()), None, Some(place), Some(a), Some(b), None, None];
    assert_eq!(get_many(&store, &keys).await, expected);
    assert_eq!(get_many(&store, &[]).await, []);
}

pub async fn get_many_reads_a_thousand_keys_and_refuses_one_more(store: Store) {
    store.migrate(&[PLACES]).await;
    let id = |n: usize| format!("{n:04}");
    store.fill(PLACES, (0..1000).step_by(3).map(|n| (id(n), json!({"n": n})))).await;
    // In an order that no database would use.
    let order: Vec<usize> = (0..1000).map(|n| n * 607 % 1000).collect();
    let keys: Vec<Key> = order.iter().map(|&n| key(PLACES, &id(n))).collect();
    let found = get_many(&store, &keys).await;
    let found: Vec<_> = found.into_iter().map(|found| found.map(|found| found.body["n"].clone())).collect();
    let expected: Vec<_> = order.iter().map(|&n| (n % 3 == 0).then(|| json!(n))).collect();
    assert_eq!(found, expected);

    let too_many: Vec<Key> = (0..1001).map(|_| key(PLACES, "0000")).collect();
    assert!(matches!(
        store.backend().get_many(&too_many, Consistency::Linearizable).await,
        Err(Error::Limit(_))
    ));
}

/// A response of DynamoDB has at most sixteen megabytes, and lists the keys that were not processed.
pub async fn get_many_reads_more_than_sixteen_megabytes(store: Store) {
    store.migrate(&[PLACES]).await;
    let id = |n: usize| format!("{n:02}");
    let text = "x".repeat(340_000);
    for n in 0..52 {
        let operation = create(PLACES, &id(n), json!({"n": n, "text": text}));
        store.commit(vec![operation]).await.expect("the document is created");
    }
    let keys: Vec<Key> = (0..52).rev().map(|n| key(PLACES, &id(n))).collect();
    let found = get_many(&store, &keys).await;
    let found: Vec<_> = found
        .iter()
        .flatten()
        .map(|found| (found.body["n"].as_u64(), found.body["text"].as_str().map(str::len)))
        .collect();
    let expected: Vec<_> = (0..52).rev().map(|n| (Some(n), Some(340_000))).collect();
    assert_eq!(found, expected);
}

pub async fn lookup_follows_a_change_a_delete_and_a_swap(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let holder = async |email: &str| store.holder(PEOPLE, "email", email).await;
    let a = store.create(PEOPLE, "a", json!({"email": "1"})).await;
    assert_eq!(holder("1").await.as_deref(), Some("a"));

    let a = store.replace(&a, json!({"email": "2"})).await;
    assert_eq!(holder("1").await, None);
    assert_eq!(store.lookup(PEOPLE, "email", "2").await, Some(a.clone()));

    let b = store.create(PEOPLE, "b", json!({"email": "1"})).await;
    let swap = vec![replace(&a, json!({"email": "1"})), replace(&b, json!({"email": "2"}))];
    store.commit(swap).await.expect("two documents swap their values");
    assert_eq!(holder("1").await.as_deref(), Some("a"));
    assert_eq!(holder("2").await.as_deref(), Some("b"));

    let a = store.get(PEOPLE, "a").await.expect("the document exists");
    store.delete(&a).await;
    assert_eq!(holder("1").await, None);
    assert_eq!(holder("2").await.as_deref(), Some("b"));
}

pub async fn a_write_of_one_instance_is_read_by_another_at_once(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let other = store.another().await;
    let mut person = store.create(PEOPLE, "p", json!({"email": "0"})).await;
    for round in 1..20 {
        person = store.replace(&person, json!({"email": round.to_string()})).await;
        assert_eq!(other.get(PEOPLE, "p").await.as_ref(), Some(&person));
        assert_eq!(get_many(&other, &[key(PEOPLE, "p")]).await, [Some(person.clone())]);
        assert_eq!(other.lookup(PEOPLE, "email", round.to_string()).await.as_ref(), Some(&person));
        assert_eq!(other.lookup(PEOPLE, "email", (round - 1).to_string()).await, None);
    }
    other.delete(&person).await;
    assert_eq!(store.get(PEOPLE, "p").await, None);
}
