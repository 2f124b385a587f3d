use serde_json::{Value, json};

use crate::conformance::Store;
use crate::conformance::words::{create, delete, increment, replace};
use crate::{Batch, Cause, Collection, Error, Field, Scalar, Unique, UniqueKey};

const PEOPLE: &Collection = &Collection::new("people")
    .fields(&[Field::string("email"), Field::integer("number"), Field::boolean("chair")])
    .uniques(&[
        Unique::new("email", &["email"]),
        Unique::new("number", &["number"]),
        Unique::new("chair", &["chair"]),
    ]);

const COUNTED: &Collection = &Collection::new("counted")
    .fields(&[Field::string("email"), Field::integer("visits")])
    .uniques(&[Unique::new("email", &["email"])])
    .counters(&["visits"]);

const SEATS: &Collection = &Collection::new("seats")
    .fields(&[Field::string("hall"), Field::string("row"), Field::integer("place")])
    .uniques(&[Unique::new("seat", &["hall", "row", "place"]), Unique::new("hall_row", &["row", "hall"])]);

fn email(text: &str) -> Value {
    json!({"email": text})
}

fn taken(operation: usize) -> (usize, Cause) {
    (operation, Cause::UniqueTaken { attribute: "email" })
}

async fn expect_holders(store: &Store, holders: &[(&str, Option<&str>)]) {
    for (value, holder) in holders {
        assert_eq!(store.holder(PEOPLE, "email", *value).await.as_deref(), *holder, "{value}");
    }
}

pub async fn a_taken_value_is_refused_and_its_attribute_is_named(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let a = store.create(PEOPLE, "a", json!({"email": "a", "number": 1, "chair": true})).await;
    let b = store.create(PEOPLE, "b", email("b")).await;
    for (body, attribute) in
        [(email("a"), "email"), (json!({"number": 1}), "number"), (json!({"chair": true}), "chair")]
    {
        let cause = Cause::UniqueTaken { attribute };
        assert_eq!(store.rejection(vec![create(PEOPLE, "c", body.clone())]).await, (0, cause));
        assert_eq!(store.rejection(vec![replace(&b, body)]).await, (0, cause));
    }
    assert_eq!(store.get(PEOPLE, "a").await, Some(a));
    assert_eq!(store.get(PEOPLE, "b").await, Some(b));
    assert_eq!(store.get(PEOPLE, "c").await, None);
    // Integers and booleans can be looked up too.
    assert_eq!(store.holder(PEOPLE, "number", 1).await.as_deref(), Some("a"));
    assert_eq!(store.holder(PEOPLE, "chair", true).await.as_deref(), Some("a"));
    assert_eq!(store.holder(PEOPLE, "chair", false).await, None);
}

pub async fn of_several_taken_values_the_first_attribute_by_name_is_reported(store: Store) {
    store.migrate(&[PEOPLE]).await;
    store.create(PEOPLE, "a", json!({"email": "x", "number": 1, "chair": true})).await;
    let cause = async |body: Value| store.rejection(vec![create(PEOPLE, "b", body)]).await.1;
    let all = json!({"email": "x", "number": 1, "chair": true});
    assert_eq!(cause(all).await, Cause::UniqueTaken { attribute: "chair" });
    let two = json!({"email": "x", "number": 1, "chair": false});
    assert_eq!(cause(two).await, Cause::UniqueTaken { attribute: "email" });
}

pub async fn values_are_compared_byte_by_byte(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let values = [
        "", "a", "A", "a ", "á", "a\u{301}", "ａ", "ß", "ss", "'", "\"", "%", "#", "\u{1}", "😀", "1", "true",
    ];
    for value in values {
        store.create(PEOPLE, &format!("id-{value}"), email(value)).await;
    }
    for value in values {
        let holder = format!("id-{value}");
        assert_eq!(store.holder(PEOPLE, "email", value).await, Some(holder));
        assert_eq!(store.rejection(vec![create(PEOPLE, "another", email(value))]).await, taken(0));
    }
    expect_holders(&store, &[("b", None), ("AA", None), (" a", None)]).await;
}

pub async fn null_and_missing_values_are_not_constrained(store: Store) {
    store.migrate(&[PEOPLE]).await;
    for (id, body) in
        [("a", json!({"email": null})), ("b", json!({"email": null})), ("c", json!({})), ("d", json!({}))]
    {
        store.create(PEOPLE, id, body).await;
    }
    let a = store.get(PEOPLE, "a").await.expect("the document exists");
    let a = store.replace(&a, email("a")).await;
    expect_holders(&store, &[("a", Some("a"))]).await;
    store.replace(&a, json!({"email": null})).await;
    expect_holders(&store, &[("a", None)]).await;
    store.create(PEOPLE, "e", email("a")).await;
}

pub async fn a_value_is_freed_by_a_change(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let a = store.create(PEOPLE, "a", email("1")).await;
    let a = store.replace(&a, email("2")).await;
    store.create(PEOPLE, "b", email("1")).await;
    expect_holders(&store, &[("1", Some("b")), ("2", Some("a"))]).await;
    // The document cannot take its previous value back.
    assert_eq!(store.rejection(vec![replace(&a, email("1"))]).await, taken(0));
}

pub async fn a_value_is_freed_by_a_delete(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let a = store.create(PEOPLE, "a", email("1")).await;
    store.delete(&a).await;
    store.create(PEOPLE, "b", email("1")).await;
    expect_holders(&store, &[("1", Some("b"))]).await;
    // The first document can be created again with another value.
    store.create(PEOPLE, "a", email("2")).await;
    expect_holders(&store, &[("1", Some("b")), ("2", Some("a"))]).await;
}

pub async fn an_unchanged_value_never_conflicts(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let mut a = store.create(PEOPLE, "a", json!({"email": "1", "x": 0})).await;
    for x in 1..4 {
        a = store.replace(&a, json!({"email": "1", "x": x})).await;
    }
    expect_holders(&store, &[("1", Some("a"))]).await;
    assert_eq!(store.rejection(vec![create(PEOPLE, "b", email("1"))]).await, taken(0));
    // A guard that the replaces did not write is released too.
    store.replace(&a, email("2")).await;
    store.create(PEOPLE, "b", email("1")).await;
    expect_holders(&store, &[("1", Some("b")), ("2", Some("a"))]).await;
}

pub async fn a_value_is_kept_by_increments_of_its_document(store: Store) {
    store.migrate(&[COUNTED]).await;
    store.create(COUNTED, "a", json!({"email": "1", "visits": 0})).await;
    store.commit(vec![increment(COUNTED, "a", "visits", 1)]).await.expect("the counter exists");
    let a = store.lookup(COUNTED, "email", "1").await.expect("the document is found");
    assert_eq!(a.body["visits"], json!(1));
    let second = create(COUNTED, "b", json!({"email": "1", "visits": 0}));
    assert_eq!(store.rejection(vec![second.clone()]).await, taken(0));
    store.replace(&a, json!({"email": "2", "visits": 1})).await;
    store.commit(vec![second]).await.expect("the value is free");
}

pub async fn two_documents_swap_their_values_in_one_batch(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let mut a = store.create(PEOPLE, "a", email("1")).await;
    let mut b = store.create(PEOPLE, "b", email("2")).await;
    for round in 0..3 {
        let (of_a, of_b) = if round % 2 == 0 { ("2", "1") } else { ("1", "2") };
        let swap = vec![replace(&a, email(of_a)), replace(&b, email(of_b))];
        store.commit(swap).await.expect("the values are swapped");
        a = store.lookup(PEOPLE, "email", of_a).await.expect("the value is held");
        b = store.lookup(PEOPLE, "email", of_b).await.expect("the value is held");
        assert_eq!((a.key.id(), b.key.id()), ("a", "b"));
    }
    // Each document holds exactly one value.
    store.delete(&a).await;
    store.create(PEOPLE, "c", email("2")).await;
    assert_eq!(store.rejection(vec![create(PEOPLE, "d", email("1"))]).await, taken(0));
}

pub async fn three_documents_rotate_their_values_in_one_batch(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let a = store.create(PEOPLE, "a", email("1")).await;
    let b = store.create(PEOPLE, "b", email("2")).await;
    let c = store.create(PEOPLE, "c", email("3")).await;
    let rotate = vec![replace(&a, email("2")), replace(&b, email("3")), replace(&c, email("1"))];
    store.commit(rotate).await.expect("the values are rotated");
    expect_holders(&store, &[("1", Some("c")), ("2", Some("a")), ("3", Some("b"))]).await;
    // The previous state of the first document is out of date.
    assert_eq!(store.rejection(vec![replace(&a, email("1"))]).await, (0, Cause::VersionMismatch));
}

pub async fn a_value_moves_from_a_deleted_to_a_created_document_in_one_batch(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let a = store.create(PEOPLE, "a", email("1")).await;
    let b = store.create(PEOPLE, "b", email("2")).await;
    store.commit(vec![delete(&a), create(PEOPLE, "c", email("1"))]).await.expect("the value moves");
    // The order of the operations in the batch makes no difference.
    store.commit(vec![create(PEOPLE, "d", email("2")), delete(&b)]).await.expect("the value moves");
    expect_holders(&store, &[("1", Some("c")), ("2", Some("d"))]).await;
    assert_eq!(store.rejection(vec![create(PEOPLE, "e", email("1"))]).await, taken(0));
}

pub async fn a_value_moves_along_a_chain_in_one_batch(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let a = store.create(PEOPLE, "a", email("1")).await;
    let b = store.create(PEOPLE, "b", email("2")).await;
    let c = store.create(PEOPLE, "c", email("3")).await;
    let chain =
        vec![create(PEOPLE, "d", email("1")), replace(&a, email("2")), replace(&b, email("3")), delete(&c)];
    store.commit(chain).await.expect("the values move");
    expect_holders(&store, &[("1", Some("d")), ("2", Some("a")), ("3", Some("b"))]).await;
}

pub async fn two_claims_of_one_value_in_a_batch_are_refused(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let a = store.create(PEOPLE, "a", email("1")).await;
    let refusal = "two documents of the batch would hold the same value of `email`".to_owned();
    for operations in [
        vec![create(PEOPLE, "b", email("2")), create(PEOPLE, "c", email("2"))],
        vec![replace(&a, email("1")), create(PEOPLE, "c", email("1"))],
    ] {
        let refused = Batch::new(operations, store.ambient()).expect_err("the batch contradicts itself");
        assert_eq!(refused, Error::Invalid(refusal.clone()));
    }
}

pub async fn a_failed_batch_leaves_no_guard_behind(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let a = store.create(PEOPLE, "a", email("1")).await;
    store.create(PEOPLE, "b", email("2")).await;
    let failing =
        vec![create(PEOPLE, "c", email("3")), replace(&a, email("4")), create(PEOPLE, "b", email("5"))];
    assert_eq!(store.rejection(failing).await, (2, Cause::AlreadyExists));
    expect_holders(&store, &[("1", Some("a")), ("3", None), ("4", None), ("5", None)]).await;
    for value in ["3", "4", "5"] {
        store.create(PEOPLE, value, email(value)).await;
    }
    assert_eq!(store.rejection(vec![create(PEOPLE, "d", email("1"))]).await, taken(0));
}

pub async fn a_value_is_released_only_by_its_owner(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let a = store.create(PEOPLE, "a", email("1")).await;
    store.replace(&a, email("2")).await;
    store.create(PEOPLE, "b", email("1")).await;
    // The old state of `a` held the value that `b` now holds.
    for stale in [delete(&a), replace(&a, email("3"))] {
        assert_eq!(store.rejection(vec![stale]).await, (0, Cause::VersionMismatch));
    }
    expect_holders(&store, &[("1", Some("b")), ("2", Some("a")), ("3", None)]).await;
}

pub async fn a_combination_of_fields_is_unique_as_a_whole(store: Store) {
    store.migrate(&[SEATS]).await;
    let seat = |hall: &str, row: &str, place: i64| json!({"hall": hall, "row": row, "place": place});
    store.create(SEATS, "1", seat("a", "bc", 1)).await;
    store.create(SEATS, "2", seat("ab", "c", 1)).await; // the same text, but split differently
    store.create(SEATS, "3", json!({"hall": "a", "row": null, "place": 1})).await;
    store.create(SEATS, "4", json!({"hall": "a", "place": 1})).await;
    let refused = store.rejection(vec![create(SEATS, "5", seat("a", "bc", 1))]).await;
    assert_eq!(refused, (0, Cause::UniqueTaken { attribute: "hall_row" }));

    let found = async |attribute: &str, values: Vec<Scalar>| {
        let unique = UniqueKey::new(SEATS, attribute, values).expect("the attribute is declared");
        let found = store.backend().lookup(&unique).await.expect("the document is looked up");
        found.map(|found| found.key.id().to_owned())
    };
    let seat = |hall: &str, row: &str, place: i64| vec![hall.into(), row.into(), Scalar::from(place)];
    assert_eq!(found("seat", seat("a", "bc", 1)).await.as_deref(), Some("1"));
    assert_eq!(found("seat", seat("ab", "c", 1)).await.as_deref(), Some("2"));
    assert_eq!(found("seat", seat("a", "bc", 2)).await, None);
    assert_eq!(found("seat", seat("a", "b", 1)).await, None);
    assert_eq!(found("hall_row", vec!["c".into(), "ab".into()]).await.as_deref(), Some("2"));
    assert_eq!(found("hall_row", vec!["ab".into(), "c".into()]).await, None);
}

pub async fn the_same_value_in_two_attributes_or_collections_is_no_conflict(store: Store) {
    const BOTH: &Collection = &Collection::new("both")
        .fields(&[Field::string("first"), Field::string("second")])
        .uniques(&[Unique::new("first", &["first"]), Unique::new("second", &["second"])]);
    store.migrate(&[BOTH, PEOPLE]).await;
    store.create(BOTH, "a", json!({"first": "x", "second": "x"})).await;
    store.create(BOTH, "b", json!({"first": "y"})).await;
    store.create(BOTH, "c", json!({"second": "y"})).await;
    store.create(PEOPLE, "d", email("x")).await;
    assert_eq!(store.holder(BOTH, "first", "y").await.as_deref(), Some("b"));
    assert_eq!(store.holder(BOTH, "second", "y").await.as_deref(), Some("c"));
}

pub async fn the_bounds_of_i64_are_distinct_values(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let numbers = [i64::MIN, i64::MIN + 1, -1, 0, 1, 1 << 53, (1 << 53) + 1, i64::MAX - 1, i64::MAX];
    for number in numbers {
        store.create(PEOPLE, &number.to_string(), json!({"number": number})).await;
    }
    for number in numbers {
        assert_eq!(store.holder(PEOPLE, "number", number).await, Some(number.to_string()));
    }
}

pub async fn a_lookup_that_does_not_match_the_declaration_is_refused(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let refused = |attribute: &str, value: Scalar| {
        UniqueKey::new(PEOPLE, attribute, [value]).expect_err("the lookup is refused")
    };
    assert!(matches!(refused("unknown", "x".into()), Error::Invalid(_)));
    assert!(matches!(refused("email", 5.into()), Error::Invalid(_)));
    assert!(matches!(refused("number", "5".into()), Error::Invalid(_)));
    assert!(matches!(refused("email", "x".repeat(513).into()), Error::Limit(_)));
    let typed = store.db.commit(vec![create(PEOPLE, "a", json!({"number": "5"}))]).await;
    assert_eq!(typed, Err(Error::Invalid("`number` of people/a must be an integer".to_owned())));
}
