use std::ops::Bound::{Excluded, Included, Unbounded};

use serde_json::{Value, json};

use crate::conformance::Store;
use crate::{Collection, Error, Field, Filter, Index, Query, Scalar};

const THINGS: &Collection = &Collection::new("things")
    .fields(&[Field::string("box"), Field::integer("rank")])
    .indexes(&[Index::new("in_box").partition(&["box"]).sort(&["rank"]), Index::new("all").sort(&["rank"])]);

/// Stores things with these values in the field `x`, with the ids `a`, `b` and so on. Those with `None` lack the
/// field.
async fn fill(store: &Store, values: &[Option<Value>]) {
    store.migrate(&[THINGS]).await;
    let documents = values.iter().zip('a'..).zip(0..).map(|((value, name), rank)| {
        let mut body = json!({"box": "b", "rank": rank});
        if let Some(value) = value {
            body["x"] = value.clone();
        }
        (name.to_string(), body)
    });
    store.fill(THINGS, documents).await;
}

/// Expects that these documents match the filters, on two indexes.
async fn expect(store: &Store, filters: &[Filter], names: &[&str]) {
    for index in [Query::new(THINGS, "in_box").partition(["b"]), Query::new(THINGS, "all")] {
        let query = filters.iter().fold(index, |query, filter| query.filter(filter.clone()));
        store.expect_query(&query, names).await;
    }
}

pub async fn a_filter_for_one_value_matches_equal_values(store: Store) {
    let values = [
        json!("red"),
        json!("Red"),
        json!("red "),
        json!(""),
        json!(5),
        json!(-5),
        json!(true),
        json!(false),
    ];
    fill(&store, &values.clone().map(Some)).await;
    for (value, name) in values.iter().zip('a'..) {
        let value = Scalar::from_json(value).expect("the value is a scalar");
        expect(&store, &[Filter::equals("x", value)], &[&name.to_string()]).await;
    }
    expect(&store, &[Filter::equals("x", "re")], &[]).await;
    expect(&store, &[Filter::equals("x", 6)], &[]).await;
}

pub async fn a_filter_for_a_set_matches_each_of_its_values(store: Store) {
    fill(&store, &[json!("red"), json!("green"), json!(5), json!(true), json!("blue")].map(Some)).await;
    expect(&store, &[Filter::one_of("x", ["blue", "red", "black"])], &["a", "e"]).await;
    let mixed = [Scalar::from("green"), 5.into(), true.into()];
    expect(&store, &[Filter::one_of("x", mixed)], &["b", "c", "d"]).await;
    expect(&store, &[Filter::one_of("x", [""; 0])], &[]).await;
}

pub async fn a_filter_for_a_range_includes_or_excludes_its_bounds(store: Store) {
    fill(&store, &[i64::MIN, -1, 0, 1, i64::MAX].map(|number| Some(json!(number)))).await;
    let expected: [(_, _, &[&str]); 7] = [
        (Included(-1), Included(1), &["b", "c", "d"]),
        (Excluded(-1), Excluded(1), &["c"]),
        (Included(0), Unbounded, &["c", "d", "e"]),
        (Unbounded, Excluded(0), &["a", "b"]),
        (Excluded(i64::MIN), Excluded(i64::MAX), &["b", "c", "d"]),
        (Unbounded, Unbounded, &["a", "b", "c", "d", "e"]),
        (Included(1), Included(0), &[]),
    ];
    for (from, to, names) in expected {
        let filter = Filter::between("x", from.map(Scalar::from), to.map(Scalar::from));
        expect(&store, &[filter], names).await;
    }
}

pub async fn a_filter_for_a_range_of_strings_compares_their_utf8_bytes(store: Store) {
    fill(&store, &["", "A", "a", "aa", "b", "é", "\u{ffff}", "😀"].map(|text| Some(json!(text)))).await;
    let expected: [(_, _, &[&str]); 4] = [
        (Included("a"), Excluded("b"), &["c", "d"]),
        (Excluded("a"), Included("é"), &["d", "e", "f"]),
        (Excluded("\u{ffff}"), Unbounded, &["h"]),
        (Unbounded, Included("A"), &["a", "b"]),
    ];
    for (from, to, names) in expected {
        let filter = Filter::between("x", from.map(Scalar::from), to.map(Scalar::from));
        expect(&store, &[filter], names).await;
    }
}

pub async fn another_kind_of_value_matches_no_filter(store: Store) {
    let values =
        [json!("5"), json!(5), json!(5.5), json!("true"), json!(true), json!(1), json!([5]), json!({"x": 5})];
    fill(&store, &values.map(Some)).await;
    expect(&store, &[Filter::equals("x", "5")], &["a"]).await;
    expect(&store, &[Filter::equals("x", 5)], &["b"]).await;
    expect(&store, &[Filter::equals("x", true)], &["e"]).await;
    let any_number = Filter::between("x", Included(Scalar::from(i64::MIN)), Unbounded);
    expect(&store, &[any_number], &["b", "f"]).await;
    let any_string = Filter::between("x", Included(Scalar::from("")), Unbounded);
    expect(&store, &[any_string], &["a", "d"]).await;
}

pub async fn a_missing_field_and_null_match_no_filter(store: Store) {
    fill(&store, &[None, Some(Value::Null), Some(json!("")), Some(json!(0)), Some(json!(false))]).await;
    expect(&store, &[Filter::equals("x", "")], &["c"]).await;
    expect(&store, &[Filter::equals("x", 0)], &["d"]).await;
    expect(&store, &[Filter::equals("x", false)], &["e"]).await;
    expect(&store, &[Filter::between("x", Unbounded, Unbounded)], &["c", "d", "e"]).await;
}

pub async fn a_whole_number_matches_in_every_notation(store: Store) {
    fill(&store, &[json!(1.0), json!(1), json!(1e0), json!(-0.0), json!(1.5)].map(Some)).await;
    expect(&store, &[Filter::equals("x", 1)], &["a", "b", "c"]).await;
    expect(&store, &[Filter::equals("x", 0)], &["d"]).await;
}

pub async fn a_document_must_match_every_filter_of_a_query(store: Store) {
    fill(&store, &[1, 2, 3, 4].map(|number| Some(json!(number)))).await;
    let at_least = |from: i64| Filter::between("x", Included(Scalar::from(from)), Unbounded);
    let at_most = |to: i64| Filter::between("rank", Unbounded, Included(Scalar::from(to)));
    expect(&store, &[at_least(2), at_most(2)], &["b", "c"]).await;
    expect(&store, &[at_least(2), Filter::equals("x", 1)], &[]).await;
    expect(&store, &[Filter::equals("box", "b"), at_least(4)], &["d"]).await;
}

pub async fn names_and_values_of_filters_are_taken_literally(store: Store) {
    store.migrate(&[THINGS]).await;
    let hostile = [
        "x' OR '1'='1",
        "x\" OR \"1\"=\"1",
        "a.b",
        "$.x",
        "#n",
        ":v",
        "x->>'y'",
        "%",
        "_",
        "\\",
        "",
        "size",
        "null",
        "?",
        "{x}",
        "x;--",
        "$1",
        "\u{1}",
        "😀",
    ];
    for (place, text) in hostile.iter().enumerate() {
        let mut body = json!({"box": "b", "rank": place, "text": text});
        body[*text] = json!("here");
        store.create(THINGS, &format!("{place:02}"), body).await;
    }
    for (place, text) in hostile.into_iter().enumerate() {
        let name = format!("{place:02}");
        expect(&store, &[Filter::equals(text, "here")], &[&name]).await;
        expect(&store, &[Filter::equals("text", text)], &[&name]).await;
    }
}

pub async fn a_filter_has_at_most_a_hundred_values(store: Store) {
    fill(&store, &[json!(99), json!(100)].map(Some)).await;
    expect(&store, &[Filter::one_of("x", 0..100_i64)], &["a"]).await;
    let query = Query::new(THINGS, "all").filter(Filter::one_of("x", 0..101_i64));
    let outcome = store.backend().query(&query).await;
    assert!(matches!(outcome, Err(Error::Limit(_))), "{outcome:?}");
}
