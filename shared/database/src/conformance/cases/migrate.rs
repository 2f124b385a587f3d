use std::time::Duration;

use serde_json::{Value, json};

use crate::conformance::Store;
use crate::conformance::words::{at_once, create, delete, key, replace};
use crate::{
    Cause, Collection, Consistency, Document, Error, Field, Index, Key, Query, Search, Unique, Version,
};

const FIELDS: &[Field] = &[
    Field::string("email"),
    Field::string("city"),
    Field::integer("age"),
    Field::string("name"),
    Field::boolean("active"),
];

/// The first declaration of the collection; the others are later declarations of it.
const PLAIN: &Collection = &Collection::new("people").expiring();
const BY_AGE: &[Index] = &[Index::new("by_age").sort(&["age"])];
const INDEXED: &Collection = &Collection::new("people").fields(FIELDS).indexes(BY_AGE).expiring();
const UNIQUE: &Collection =
    &Collection::new("people").fields(FIELDS).uniques(&[Unique::new("email", &["email"])]).expiring();
const SEARCHED: &Collection = &Collection::new("people").fields(FIELDS).search(&["name"]).expiring();
const EVERYTHING: &Collection = &Collection::new("people")
    .fields(FIELDS)
    .indexes(&[
        Index::new("by_age").sort(&["age"]),
        Index::new("of_city").partition(&["city"]).sort(&["age"]),
        Index::new("of_active").partition(&["active"]).shards(2),
    ])
    .uniques(&[Unique::new("email", &["email"]), Unique::new("name", &["name", "city"])])
    .search(&["name", "city"])
    .expiring();

const OTHER: &Collection = &Collection::new("other");

fn name(number: i64) -> String {
    format!("{number:03}")
}

fn person(number: i64) -> Value {
    json!({
        "email": format!("e{number}"), "city": format!("city{}", number % 3), "age": number * 7 % 50,
        "name": format!("name{number} common"), "active": number % 2 == 0,
    })
}

async fn fill(store: &Store, collection: &'static Collection, count: i64) {
    store.fill(collection, (0..count).map(|n| (name(n), person(n)))).await;
}

/// The ids of the first `count` people by age.
fn by_age(count: i64) -> Vec<String> {
    let mut ids: Vec<(i64, String)> = (0..count).map(|n| (n * 7 % 50, name(n))).collect();
    ids.sort();
    ids.into_iter().map(|(_, id)| id).collect()
}

async fn expect_by_age(store: &Store, collection: &'static Collection, ids: &[String]) {
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    store.expect_query(&Query::new(collection, "by_age").limit(1000), &ids).await;
}

/// The versions of the first `count` people.
async fn versions(store: &Store, collection: &'static Collection, count: i64) -> Vec<Option<Version>> {
    let keys: Vec<Key> = (0..count).map(|n| key(collection, &name(n))).collect();
    let documents =
        store.backend().get_many(&keys, Consistency::Linearizable).await.expect("the documents are read");
    documents.into_iter().map(|document| document.map(|document| document.version)).collect()
}

async fn read(store: &Store, collection: &'static Collection, id: &str) -> Document {
    store.get(collection, id).await.expect("the document exists")
}

pub async fn migrating_again_changes_nothing(store: Store) {
    for _ in 0..2 {
        store.migrate(&[EVERYTHING, OTHER]).await;
    }
    fill(&store, EVERYTHING, 10).await;
    let before = versions(&store, EVERYTHING, 10).await;
    store.migrate(&[OTHER, EVERYTHING]).await;
    store.another().await.migrate(&[EVERYTHING, OTHER]).await;
    assert_eq!(versions(&store, EVERYTHING, 10).await, before);
    expect_by_age(&store, EVERYTHING, &by_age(10)).await;
    assert_eq!(store.holder(EVERYTHING, "email", "e7").await, Some(name(7)));
}

/// Several instances may start at the same time.
pub async fn instances_can_migrate_at_once(store: Store) {
    let mut instances = Vec::new();
    for _ in 0..4 {
        instances.push(store.another().await);
    }
    at_once(instances.into_iter().map(|one| async move { one.migrate(&[EVERYTHING, OTHER]).await })).await;
    fill(&store, EVERYTHING, 5).await;
    expect_by_age(&store, EVERYTHING, &by_age(5)).await;
    assert_eq!(store.holder(EVERYTHING, "email", "e4").await, Some(name(4)));
}

pub async fn a_new_index_is_filled_from_the_stored_documents(store: Store) {
    store.migrate(&[PLAIN]).await;
    fill(&store, PLAIN, 130).await;
    store.create(PLAIN, "without", json!({"name": "x"})).await;
    let before = versions(&store, PLAIN, 130).await;
    store.migrate(&[INDEXED]).await;
    expect_by_age(&store, INDEXED, &by_age(130)).await;
    assert_eq!(versions(&store, INDEXED, 130).await, before, "the versions must not change");
    // From now on, writes update the index.
    let first = read(&store, INDEXED, "000").await;
    store.delete(&first).await;
    let mut without = by_age(130);
    without.retain(|id| id != "000");
    expect_by_age(&store, INDEXED, &without).await;
    // Versions from before the migration are still valid.
    let other = read(&store, PLAIN, "001").await;
    assert_eq!(Some(other.version), before[1]);
}

pub async fn a_new_unique_attribute_is_filled_and_then_guards(store: Store) {
    store.migrate(&[PLAIN]).await;
    fill(&store, PLAIN, 110).await;
    store.create(PLAIN, "null-1", json!({"email": null})).await;
    store.create(PLAIN, "null-2", json!({"email": null})).await;
    store.create(PLAIN, "missing", json!({})).await;
    let before = versions(&store, PLAIN, 110).await;
    store.migrate(&[UNIQUE]).await;
    assert_eq!(versions(&store, UNIQUE, 110).await, before, "the versions must not change");
    for number in 0..110 {
        assert_eq!(store.holder(UNIQUE, "email", format!("e{number}")).await, Some(name(number)));
    }
    let taken = Cause::UniqueTaken { attribute: "email" };
    assert_eq!(store.rejection(vec![create(UNIQUE, "x", json!({"email": "e5"}))]).await, (0, taken));
    // A guard that the migration created is released like any other.
    let five = read(&store, UNIQUE, &name(5)).await;
    store.replace(&five, json!({"email": "new"})).await;
    let six = read(&store, UNIQUE, &name(6)).await;
    store.delete(&six).await;
    store.create(UNIQUE, "x", json!({"email": "e5"})).await;
    store.create(UNIQUE, "y", json!({"email": "e6"})).await;
}

pub async fn a_new_unique_attribute_with_a_duplicate_value_is_refused(store: Store) {
    store.migrate(&[PLAIN]).await;
    fill(&store, PLAIN, 20).await;
    let double = store.create(PLAIN, "double", json!({"email": "e3"})).await;
    let outcome = store.try_migrate(&[UNIQUE]).await;
    assert!(matches!(outcome, Err(Error::Invalid(_))), "{outcome:?}");
    // The previous declarations stay in force. Once the conflict is resolved, the migration succeeds.
    let double = store.replace(&double, json!({"email": "free"})).await;
    assert_eq!(store.get(PLAIN, "double").await, Some(double));
    store.migrate(&[UNIQUE]).await;
    assert_eq!(store.holder(UNIQUE, "email", "e3").await, Some(name(3)));
    assert_eq!(store.holder(UNIQUE, "email", "free").await.as_deref(), Some("double"));
    let taken = Cause::UniqueTaken { attribute: "email" };
    assert_eq!(store.rejection(vec![create(UNIQUE, "x", json!({"email": "free"}))]).await, (0, taken));
}

pub async fn new_search_fields_are_filled_from_the_stored_documents(store: Store) {
    store.migrate(&[PLAIN]).await;
    fill(&store, PLAIN, 60).await;
    let before = versions(&store, PLAIN, 60).await;
    store.migrate(&[SEARCHED]).await;
    assert_eq!(versions(&store, SEARCHED, 60).await, before, "the versions must not change");
    let names: Vec<String> = (0..60).map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    store.expect_search(&Search::new(SEARCHED, "common"), &names).await;
    store.expect_search(&Search::new(SEARCHED, "name59"), &["059"]).await;
    store.expect_search(&Search::new(SEARCHED, "city1"), &[]).await;
    let seven = read(&store, SEARCHED, "007").await;
    store.replace(&seven, json!({"name": "renamed"})).await;
    store.expect_search(&Search::new(SEARCHED, "name7"), &[]).await;
    store.expect_search(&Search::new(SEARCHED, "renamed"), &["007"]).await;
}

pub async fn changed_search_fields_replace_the_previous_ones(store: Store) {
    const BY_CITY: &Collection = &Collection::new("people").fields(FIELDS).search(&["city"]).expiring();
    store.migrate(&[SEARCHED]).await;
    fill(&store, SEARCHED, 6).await;
    store.expect_search(&Search::new(SEARCHED, "common"), &["000", "001", "002", "003", "004", "005"]).await;
    store.migrate(&[BY_CITY]).await;
    store.expect_search(&Search::new(BY_CITY, "city1"), &["001", "004"]).await;
    store.expect_search(&Search::new(BY_CITY, "common"), &[]).await;
    let four = read(&store, BY_CITY, "004").await;
    store.delete(&four).await;
    store.expect_search(&Search::new(BY_CITY, "city1"), &["001"]).await;
}

pub async fn everything_at_once_is_filled_from_the_stored_documents(store: Store) {
    store.migrate(&[PLAIN]).await;
    fill(&store, PLAIN, 40).await;
    let other = store.another().await;
    other.migrate(&[EVERYTHING, OTHER]).await;
    expect_by_age(&store, EVERYTHING, &by_age(40)).await;
    let city = by_age(40).into_iter().filter(|id| id.parse::<i64>().is_ok_and(|n| n % 3 == 1));
    let city: Vec<String> = city.collect();
    let city: Vec<&str> = city.iter().map(String::as_str).collect();
    store.expect_query(&Query::new(EVERYTHING, "of_city").partition(["city1"]), &city).await;
    let odd: Vec<String> = (0..40).filter(|n| n % 2 == 1).map(name).collect();
    let odd: Vec<&str> = odd.iter().map(String::as_str).collect();
    store.expect_query(&Query::new(EVERYTHING, "of_active").partition([false]), &odd).await;
    store.expect_search(&Search::new(EVERYTHING, "name39 city0"), &["039"]).await;
    assert_eq!(store.holder(EVERYTHING, "email", "e39").await, Some(name(39)));
}

pub async fn a_changed_index_is_filled_again(store: Store) {
    const CHANGED: &Collection = &Collection::new("people")
        .fields(FIELDS)
        .indexes(&[
            Index::new("by_age").sort(&["name"]),
            Index::new("of_city").partition(&["city"]).sort(&["name"]),
        ])
        .expiring();
    const ORIGINAL: &Collection = &Collection::new("people")
        .fields(FIELDS)
        .indexes(&[Index::new("by_age").sort(&["age"]), Index::new("of_city").partition(&["email"])])
        .expiring();
    store.migrate(&[ORIGINAL]).await;
    fill(&store, ORIGINAL, 12).await;
    expect_by_age(&store, ORIGINAL, &by_age(12)).await;
    store.migrate(&[CHANGED]).await;
    let mut by_name: Vec<(String, String)> = (0..12).map(|n| (format!("name{n} common"), name(n))).collect();
    by_name.sort();
    let by_name: Vec<String> = by_name.into_iter().map(|(_, id)| id).collect();
    expect_by_age(&store, CHANGED, &by_name).await;
    let of_city = Query::new(CHANGED, "of_city").partition(["city2"]);
    store.expect_query(&of_city, &["011", "002", "005", "008"]).await;
    let eleven = read(&store, CHANGED, "011").await;
    store.delete(&eleven).await;
    store.expect_query(&of_city, &["002", "005", "008"]).await;
}

/// Like [`UNIQUE`], but over another field.
const CHANGED: &Collection =
    &Collection::new("people").fields(FIELDS).uniques(&[Unique::new("email", &["name"])]).expiring();

pub async fn a_changed_unique_attribute_guards_its_new_values(store: Store) {
    store.migrate(&[UNIQUE]).await;
    store.create(UNIQUE, "a", json!({"email": "1", "name": "x"})).await;
    store.create(UNIQUE, "b", json!({"email": "2", "name": "y"})).await;
    // After the migration, `a` and `e` hold values that other documents held before.
    store.create(UNIQUE, "e", json!({"email": "x", "name": "2"})).await;
    store.migrate(&[CHANGED]).await;
    assert_eq!(store.holder(CHANGED, "email", "x").await.as_deref(), Some("a"));
    assert_eq!(store.holder(CHANGED, "email", "2").await.as_deref(), Some("e"));
    assert_eq!(store.holder(CHANGED, "email", "1").await, None);
    let taken = Cause::UniqueTaken { attribute: "email" };
    let same_name = create(CHANGED, "c", json!({"email": "3", "name": "y"}));
    assert_eq!(store.rejection(vec![same_name]).await, (0, taken));
    // The previous values are no longer guarded.
    store.create(CHANGED, "d", json!({"email": "1", "name": "1"})).await;
    assert_eq!(store.holder(CHANGED, "email", "1").await.as_deref(), Some("d"));
}

pub async fn a_refused_migration_keeps_the_previous_declarations(store: Store) {
    const BEFORE: &Collection = &UNIQUE.indexes(BY_AGE).search(&["name"]);
    const AFTER: &Collection = &CHANGED.indexes(&[Index::new("by_age").sort(&["email"])]).search(&["city"]);
    store.migrate(&[BEFORE]).await;
    let person =
        |email: &str, name: &str, age: u8| json!({"email": email, "name": name, "age": age, "city": "c"});
    store.create(BEFORE, "a", person("x", "twice", 3)).await;
    store.create(BEFORE, "b", person("y", "x", 2)).await;
    let double = store.create(BEFORE, "c", person("z", "twice", 1)).await;
    let outcome = store.try_migrate(&[AFTER]).await;
    assert!(matches!(outcome, Err(Error::Invalid(_))), "{outcome:?}");
    for (value, holder) in [("x", "a"), ("y", "b"), ("z", "c")] {
        assert_eq!(store.holder(BEFORE, "email", value).await.as_deref(), Some(holder));
    }
    store.expect_query(&Query::new(BEFORE, "by_age"), &["c", "b", "a"]).await;
    store.expect_search(&Search::new(BEFORE, "twice"), &["a", "c"]).await;
    let taken = Cause::UniqueTaken { attribute: "email" };
    assert_eq!(store.rejection(vec![create(BEFORE, "d", person("x", "d", 4))]).await, (0, taken));
    store.replace(&double, person("z", "once", 1)).await;
    store.migrate(&[AFTER]).await;
    for (value, holder) in [("twice", Some("a")), ("x", Some("b")), ("once", Some("c")), ("y", None)] {
        assert_eq!(store.holder(AFTER, "email", value).await.as_deref(), holder);
    }
    store.expect_query(&Query::new(AFTER, "by_age"), &["a", "b", "c"]).await;
    store.expect_search(&Search::new(AFTER, "twice"), &[]).await;
    store.expect_search(&Search::new(AFTER, "c"), &["a", "b", "c"]).await;
}

/// The older program declares no unique attributes, so it does not update the guard.
pub async fn a_lookup_ignores_a_guard_that_an_older_program_left_behind(store: Store) {
    store.migrate(&[UNIQUE]).await;
    store.create(UNIQUE, "a", json!({"email": "old"})).await;
    let read = store.get(PLAIN, "a").await.expect("the document exists");
    store.replace(&read, json!({"email": "new"})).await;
    assert_eq!(store.holder(UNIQUE, "email", "old").await, None);
}

pub async fn dropped_declarations_are_complete_when_declared_again(store: Store) {
    store.migrate(&[EVERYTHING]).await;
    fill(&store, EVERYTHING, 4).await;
    expect_by_age(&store, EVERYTHING, &by_age(4)).await;
    store.migrate(&[PLAIN]).await;
    let zero = read(&store, PLAIN, "000").await;
    store.delete(&zero).await;
    let one = read(&store, PLAIN, "001").await;
    store.replace(&one, json!({"age": 1000, "email": "changed", "name": "changed"})).await;
    store.create(PLAIN, "new", json!({"age": 0, "email": "e0", "name": "fresh"})).await;
    store.migrate(&[EVERYTHING]).await;
    let by_age = Query::new(EVERYTHING, "by_age");
    store.expect_query(&by_age, &["new", "002", "003", "001"]).await;
    for (email, holder) in [("e0", Some("new")), ("e1", None), ("e2", Some("002")), ("changed", Some("001"))]
    {
        assert_eq!(store.holder(EVERYTHING, "email", email).await.as_deref(), holder, "{email}");
    }
    store.expect_search(&Search::new(EVERYTHING, "common"), &["002", "003"]).await;
    store.expect_search(&Search::new(EVERYTHING, "fresh"), &["new"]).await;
    store.create(EVERYTHING, "one", json!({"email": "e1"})).await;
}

pub async fn a_collection_that_is_no_longer_declared_keeps_its_documents(store: Store) {
    store.migrate(&[INDEXED, OTHER]).await;
    let person = store.create(INDEXED, "p", person(1)).await;
    store.migrate(&[OTHER]).await;
    assert_eq!(store.get(INDEXED, "p").await, Some(person));
    store.migrate(&[OTHER, INDEXED]).await;
    expect_by_age(&store, INDEXED, &["p".to_owned()]).await;
}

pub async fn stored_values_that_do_not_match_a_declaration_count_as_missing(store: Store) {
    store.migrate(&[PLAIN]).await;
    let long = "x".repeat(513);
    let bodies = [
        ("fits", json!({"age": 5, "email": "e", "name": "n", "city": "c"})),
        ("kinds", json!({"age": "5", "email": 5, "name": true, "city": {}})),
        ("fraction", json!({"age": 5.5, "email": [], "name": null})),
        ("long-1", json!({"age": 6, "email": long, "name": "x", "city": long})),
        ("long-2", json!({"age": 7, "email": long})),
    ];
    store.fill(PLAIN, bodies.map(|(id, body)| (id.to_owned(), body))).await;
    store.migrate(&[EVERYTHING]).await;
    store.expect_query(&Query::new(EVERYTHING, "by_age"), &["fits", "long-1", "long-2"]).await;
    assert_eq!(store.holder(EVERYTHING, "email", "e").await.as_deref(), Some("fits"));
    // They can be read, replaced by valid documents, and deleted.
    let kinds = read(&store, EVERYTHING, "kinds").await;
    assert_eq!(kinds.body["age"], json!("5"));
    let repaired = vec![
        replace(&kinds, json!({"age": 1, "email": "k"})),
        delete(&read(&store, EVERYTHING, "long-1").await),
        delete(&read(&store, EVERYTHING, "fraction").await),
    ];
    store.commit(repaired).await.expect("nothing conflicts");
    store.expect_query(&Query::new(EVERYTHING, "by_age"), &["kinds", "fits", "long-2"]).await;
    assert_eq!(store.holder(EVERYTHING, "email", "k").await.as_deref(), Some("kinds"));
}

pub async fn filled_entries_expire_with_their_documents(store: Store) {
    store.migrate(&[PLAIN]).await;
    let soon = store.now() + Duration::from_secs(60);
    let body = |email: &str| json!({"email": email, "age": 1, "name": "word"});
    store.create_until(PLAIN, "short", body("shared"), soon).await;
    store.create_until(PLAIN, "later", body("later"), soon + Duration::from_secs(60)).await;
    store.clock.set(soon);
    // The value of an expired document is not a duplicate.
    store.create(PLAIN, "lasting", body("shared")).await;
    store.migrate(&[EVERYTHING]).await;
    let by_age = Query::new(EVERYTHING, "by_age");
    let word = Search::new(EVERYTHING, "word");
    assert_eq!(store.holder(EVERYTHING, "email", "shared").await.as_deref(), Some("lasting"));
    assert_eq!(store.holder(EVERYTHING, "email", "later").await.as_deref(), Some("later"));
    store.expect_query(&by_age, &["lasting", "later"]).await;
    store.expect_search(&word, &["lasting", "later"]).await;
    store.clock.advance(Duration::from_secs(60));
    assert_eq!(store.holder(EVERYTHING, "email", "later").await, None);
    store.expect_query(&by_age, &["lasting"]).await;
    store.expect_search(&word, &["lasting"]).await;
    store.create(EVERYTHING, "claims", json!({"email": "later"})).await;
    store
        .eventually(2, || async {
            store.backend().sweep_expired(10).await.expect("expired documents are swept")
        })
        .await;
    assert_eq!(store.holder(EVERYTHING, "email", "shared").await.as_deref(), Some("lasting"));
    assert_eq!(store.holder(EVERYTHING, "email", "later").await.as_deref(), Some("claims"));
}

pub async fn expired_guards_of_a_refused_migration_are_no_duplicates(store: Store) {
    store.migrate(&[PLAIN]).await;
    let soon = store.now() + Duration::from_secs(60);
    store.create_until(PLAIN, "short", json!({"email": "shared"}), soon).await;
    store.create(PLAIN, "a", json!({"email": "twice"})).await;
    let double = store.create(PLAIN, "b", json!({"email": "twice"})).await;
    let outcome = store.try_migrate(&[UNIQUE]).await;
    assert!(matches!(outcome, Err(Error::Invalid(_))), "{outcome:?}");
    // The expired document is not swept yet; another document has taken its value.
    store.clock.set(soon);
    store.create(PLAIN, "lasting", json!({"email": "shared"})).await;
    store.delete(&double).await;
    store.migrate(&[UNIQUE]).await;
    assert_eq!(store.holder(UNIQUE, "email", "shared").await.as_deref(), Some("lasting"));
    assert_eq!(store.holder(UNIQUE, "email", "twice").await.as_deref(), Some("a"));
    let taken = Cause::UniqueTaken { attribute: "email" };
    assert_eq!(store.rejection(vec![create(UNIQUE, "x", json!({"email": "shared"}))]).await, (0, taken));
}
