use serde_json::{Value, json};

use crate::conformance::Store;
use crate::conformance::words::{create, increment, replace};
use crate::limits::MAX_DOCUMENT_BYTES;
use crate::{Cause, Collection, Error, Field, Filter, Index, Query, Search, Unique};

const PLAIN: &Collection = &Collection::new("plain");

/// Stores a body, and returns the body that is read.
async fn stored(store: &Store, id: &str, body: Value) -> Value {
    Value::Object(store.create(PLAIN, id, body).await.body)
}

async fn refusal(store: &Store, body: Value) -> Error {
    store.commit(vec![create(PLAIN, "refused", body)]).await.expect_err("the document is refused")
}

pub async fn integers_are_exact_over_all_of_i64(store: Store) {
    store.migrate(&[PLAIN]).await;
    let numbers = [
        i64::MIN,
        i64::MIN + 1,
        -9_007_199_254_740_993,
        -1,
        0,
        1,
        9_007_199_254_740_993,
        999_999_999_999_999_999,
        i64::MAX - 1,
        i64::MAX,
    ];
    let body = json!({"numbers": numbers, "largest": i64::MAX, "deep": {"least": [i64::MIN]}});
    assert_eq!(stored(&store, "p", body.clone()).await, body);
}

pub async fn whole_fractions_are_integers(store: Store) {
    store.migrate(&[PLAIN]).await;
    let body = json!({"n": [1.0, -1.0, 0.0, -0.0, 1e3, 1e18, -9_223_372_036_854_775_808.0, 4_503_599_627_370_496.0]});
    let expected =
        json!({"n": [1, -1, 0, 0, 1000, 1_000_000_000_000_000_000_i64, i64::MIN, 4_503_599_627_370_496_i64]});
    assert_eq!(stored(&store, "p", body).await, expected);
}

pub async fn fractions_are_read_as_written(store: Store) {
    store.migrate(&[PLAIN]).await;
    let numbers = [
        0.1,
        -0.1,
        0.1 + 0.2,
        1.0 / 3.0,
        -2.5,
        1.5e-7,
        123_456_789.123_456_79,
        4_503_599_627_370_495.5,
        5e-130,
        1e-130,
        2.225e-127,
        -1e-130,
        1.797_693_134_862_315_7e125,
        9.99e125,
        1e125,
        1e19,
        -1e19,
        1e20,
        1e21,
        1e22,
        1e23,
        9_223_372_036_854_775_808.0,
        18_446_744_073_709_551_616.0,
        1.234_567_890_123_456_7e100,
        std::f64::consts::PI,
        std::f64::consts::E * 1e-50,
        f64::EPSILON,
    ];
    let body = json!({"n": numbers});
    let found = stored(&store, "p", body.clone()).await;
    for (place, number) in numbers.into_iter().enumerate() {
        assert_eq!(found["n"][place].as_f64(), Some(number), "number {place}");
    }
    assert_eq!(found, body);
}

/// Queries and searches must return numbers in the same form as reads by key.
pub async fn numbers_have_the_same_form_in_every_read(store: Store) {
    const NUMBERS: &Collection = &Collection::new("numbers")
        .fields(&[Field::integer("rank"), Field::string("word")])
        .indexes(&[Index::new("by_rank").sort(&["rank"])])
        .uniques(&[Unique::new("word", &["word"])])
        .search(&["word"]);
    store.migrate(&[NUMBERS]).await;
    let body = json!({"rank": 5.0, "word": "one", "n": [1e19, 1e100, 0.1, 2.0, -0.0, 1e-7]});
    let written = store.create(NUMBERS, "n", body).await;
    let expected = json!({"rank": 5, "word": "one", "n": [1e19, 1e100, 0.1, 2, 0, 1e-7]});
    assert_eq!(Value::Object(written.body.clone()), expected);
    assert_eq!(store.lookup(NUMBERS, "word", "one").await.as_ref(), Some(&written));
    let query = Query::new(NUMBERS, "by_rank").at_least([5]).at_most([5]);
    let queried = || async { store.backend().query(&query).await.expect("the query succeeds").documents };
    store.eventually(vec![written.clone()], queried).await;
    let search = Search::new(NUMBERS, "one");
    let searched = || async { store.backend().search(&search).await.expect("the search succeeds").documents };
    store.eventually(vec![written], searched).await;
}

pub async fn numbers_that_backends_cannot_store_are_refused(store: Store) {
    store.migrate(&[PLAIN]).await;
    let too_large = "`n` is 9223372036854775808, which is outside the range of a 64-bit signed integer";
    let refused = refusal(&store, json!({"n": 9_223_372_036_854_775_808_u64})).await;
    assert_eq!(refused, Error::Invalid(too_large.to_owned()));
    for number in [1e126, -1e126, 1e300, f64::MAX, 9.9e-131, -1e-200, f64::MIN_POSITIVE, 5e-324] {
        let refused = refusal(&store, json!({"deep": {"n": [number]}})).await;
        assert!(matches!(refused, Error::Invalid(_)), "{number}: {refused:?}");
    }
    assert_eq!(store.get(PLAIN, "refused").await, None);
}

pub async fn strings_are_read_as_written(store: Store) {
    store.migrate(&[PLAIN]).await;
    let control: String = ('\u{1}'..='\u{1f}').collect();
    let texts = [
        "",
        " ",
        "\"",
        "\\",
        "\\u0000",
        "\\\\u0000",
        "\\0",
        "'",
        "''",
        "\r\n",
        "\t",
        "\u{7f}",
        "\u{80}",
        "é",
        "e\u{301}",
        "\u{a0}",
        "\u{ad}",
        "\u{200b}",
        "\u{200d}",
        "\u{2028}",
        "\u{202e}",
        "\u{feff}",
        "\u{fffd}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{d7ff}",
        "\u{e000}",
        "😀",
        "👩\u{200d}👩\u{200d}👧",
        "\u{10ffff}",
        "한글",
        "عربى",
        "$1",
        "%s",
        "{}",
        "null",
        &control,
    ];
    let body = json!({"texts": texts[..], "text": texts.concat()});
    assert_eq!(stored(&store, "p", body.clone()).await, body);
}

pub async fn the_null_character_is_refused_everywhere(store: Store) {
    store.migrate(&[PLAIN]).await;
    for body in [
        json!({"x": "\0"}),
        json!({"x": "before\0behind"}),
        json!({"x": {"y": ["z", "\0"]}}),
        json!({"na\0me": 1}),
        json!({"x": [{"na\0me": 1}]}),
    ] {
        let refused = refusal(&store, body.clone()).await;
        assert!(matches!(refused, Error::Invalid(_)), "{body}: {refused:?}");
    }
}

pub async fn empty_values_are_kept_and_null_differs_from_missing(store: Store) {
    store.migrate(&[PLAIN]).await;
    let body = json!({
        "string": "", "list": [], "object": {}, "null": null, "false": false, "zero": 0,
        "nested": {"string": "", "list": [[], {}, "", null], "object": {"object": {}, "null": null}},
    });
    let found = stored(&store, "p", body.clone()).await;
    assert_eq!(found, body);
    assert_eq!((found.get("null"), found.get("missing")), (Some(&Value::Null), None));
    assert_eq!(stored(&store, "empty", json!({})).await, json!({}));
}

pub async fn names_of_fields_are_taken_literally(store: Store) {
    store.migrate(&[PLAIN]).await;
    let names = [
        "",
        " ",
        "a b",
        "a.b",
        "a..b",
        ".",
        "a[0]",
        "[0]",
        "$",
        "$set",
        "$.a",
        "#",
        "#n",
        ":",
        ":v",
        "@",
        "-",
        "a-b",
        "'",
        "\"",
        "`",
        "\\",
        "/",
        "%",
        "*",
        "?",
        "id",
        "version",
        "doc",
        "body",
        "expires_at",
        "size",
        "name",
        "status",
        "null",
        "true",
        "0",
        "__proto__",
        "constructor",
        "é",
        "e\u{301}",
        "😀",
        "\u{1}",
        "\u{ffff}",
        "select",
        "SELECT",
        "B",
        "N",
        "M",
    ];
    let fields: serde_json::Map<String, Value> =
        names.iter().zip(0..).map(|(name, number)| ((*name).to_owned(), json!(number))).collect();
    let mut body = Value::Object(fields.clone());
    body["nested"] = Value::Object(fields);
    body["x".repeat(1000)] = json!("a long name");
    assert_eq!(stored(&store, "p", body.clone()).await, body);
    let before = store.get(PLAIN, "p").await.expect("the document exists");
    assert_eq!(Value::Object(store.replace(&before, body.clone()).await.body), body);
}

pub async fn declared_fields_may_have_any_name(store: Store) {
    const HOSTILE: &Collection = &Collection::new("hostile")
        .fields(&[
            Field::string("a.b"),
            Field::integer("#n"),
            Field::string("it's \"x\" `y`"),
            Field::string(":v"),
            Field::integer("size"),
            Field::integer("$.count"),
            Field::boolean("select"),
        ])
        .indexes(&[
            Index::new("by_dots").partition(&["a.b"]).sort(&["#n", "select"]),
            Index::new("by_quotes").sort(&["it's \"x\" `y`"]),
        ])
        .uniques(&[Unique::new("size", &["size"])])
        .search(&[":v"])
        .counters(&["$.count"]);
    store.migrate(&[HOSTILE]).await;
    let body = |number: i64| {
        json!({
            "a.b": "p", "#n": -number, "it's \"x\" `y`": format!("{number}"), ":v": format!("word{number} all"),
            "size": number, "$.count": 0, "select": true,
        })
    };
    store.create(HOSTILE, "a", body(1)).await;
    let b = store.create(HOSTILE, "b", body(2)).await;
    store.expect_query(&Query::new(HOSTILE, "by_dots").partition(["p"]), &["b", "a"]).await;
    store.expect_query(&Query::new(HOSTILE, "by_quotes").at_most(["1"]), &["a"]).await;
    store.expect_search(&Search::new(HOSTILE, "all word2"), &["b"]).await;
    assert_eq!(store.holder(HOSTILE, "size", 2).await.as_deref(), Some("b"));
    let taken = store.rejection(vec![create(HOSTILE, "c", body(1))]).await;
    assert_eq!(taken, (0, Cause::UniqueTaken { attribute: "size" }));
    store.commit(vec![increment(HOSTILE, "a", "$.count", 3)]).await.expect("the counter exists");
    let a = store.get(HOSTILE, "a").await.expect("the document exists");
    assert_eq!(a.body["$.count"], json!(3));
    let filtered = Query::new(HOSTILE, "by_quotes").filter(Filter::equals("$.count", 3));
    store.expect_query(&filtered, &["a"]).await;
    store.commit(vec![replace(&b, body(3))]).await.expect("the value is free");
    assert_eq!(store.holder(HOSTILE, "size", 2).await, None);
}

pub async fn thirty_levels_are_kept_and_one_more_is_refused(store: Store) {
    store.migrate(&[PLAIN]).await;
    // The body is the first level.
    let lists = |levels: usize| (1..levels).fold(json!("core"), |inner, _| json!([inner]));
    let objects = |levels: usize| (1..levels).fold(json!("core"), |inner, _| json!({"x": inner}));
    let body = json!({"lists": lists(30), "objects": objects(30)});
    assert_eq!(stored(&store, "p", body.clone()).await, body);
    assert!(matches!(refusal(&store, json!({"x": lists(31)})).await, Error::Limit(_)));
    assert!(matches!(refusal(&store, json!({"x": objects(31)})).await, Error::Limit(_)));
    assert!(matches!(refusal(&store, json!({"x": lists(60)})).await, Error::Limit(_)));
}

pub async fn a_document_of_350_kibibytes_is_kept_and_one_byte_more_is_refused(store: Store) {
    store.migrate(&[PLAIN]).await;
    // Names and strings count their UTF-8 bytes.
    let of_bytes = |bytes: usize| json!({"name": "é".repeat((bytes - 4) / 2) + &"x".repeat(bytes % 2)});
    let largest = of_bytes(MAX_DOCUMENT_BYTES);
    assert_eq!(stored(&store, "p", largest.clone()).await, largest);
    assert!(matches!(refusal(&store, of_bytes(MAX_DOCUMENT_BYTES + 1)).await, Error::Limit(_)));
    let document = store.get(PLAIN, "p").await.expect("the document exists");
    let outcome = store.commit(vec![replace(&document, of_bytes(MAX_DOCUMENT_BYTES + 1))]).await;
    assert!(matches!(outcome, Err(Error::Limit(_))), "{outcome:?}");
}

pub async fn a_document_of_many_small_values_is_kept(store: Store) {
    store.migrate(&[PLAIN]).await;
    let list: Vec<Value> = (0..5000).map(|n| json!({"n": n, "even": n % 2 == 0})).collect();
    let fields: serde_json::Map<String, Value> =
        (0..2000).map(|n| (format!("field-{n}"), json!(f64::from(n) + 0.5))).collect();
    let body = json!({"list": list, "fields": fields});
    assert_eq!(stored(&store, "p", body.clone()).await, body);
}

pub async fn indexed_strings_have_at_most_512_bytes(store: Store) {
    const TEXTS: &Collection = &Collection::new("texts")
        .fields(&[Field::string("partition"), Field::string("sort"), Field::string("unique")])
        .indexes(&[
            Index::new("of_partition").partition(&["partition"]),
            Index::new("by_sort").sort(&["sort"]),
        ])
        .uniques(&[Unique::new("unique", &["unique"])]);
    store.migrate(&[TEXTS]).await;
    let longest = "é".repeat(256);
    let body = json!({"partition": longest, "sort": longest, "unique": longest, "free": "x".repeat(513)});
    let document = store.create(TEXTS, &"i".repeat(256), body.clone()).await;
    let id = document.key.id();
    store.expect_query(&Query::new(TEXTS, "of_partition").partition([&longest]), &[id]).await;
    store.expect_query(&Query::new(TEXTS, "by_sort").at_least([&longest]), &[id]).await;
    assert_eq!(store.lookup(TEXTS, "unique", &longest).await.as_ref(), Some(&document));
    for field in ["partition", "sort", "unique"] {
        let mut longer = body.clone();
        longer[field] = json!("x".repeat(513));
        let outcome = store.commit(vec![replace(&document, longer)]).await;
        let message = format!("`{field}` is indexed and has 513 bytes; at most 512 are allowed");
        assert_eq!(outcome, Err(Error::Limit(message)));
    }
    let outcome = store.backend().query(&Query::new(TEXTS, "by_sort").at_least(["x".repeat(513)])).await;
    assert!(matches!(outcome, Err(Error::Limit(_))), "{outcome:?}");
}
