use serde_json::{Value, json};

use crate::conformance::Store;
use crate::conformance::words::{create, pages_of, replace};
use crate::{Collection, Error, Field, Index, Query};

const THINGS: &Collection = &Collection::new("things")
    .fields(&[
        Field::string("text"),
        Field::integer("number"),
        Field::boolean("flag"),
        Field::time("at"),
        Field::string("group"),
        Field::string("part"),
    ])
    .indexes(&[
        Index::new("by_text").sort(&["text"]),
        Index::new("by_number").sort(&["number"]),
        Index::new("by_flag").sort(&["flag"]),
        Index::new("by_time").sort(&["at"]),
        Index::new("by_both").sort(&["text", "number"]),
        Index::new("by_texts").sort(&["text", "part"]),
        Index::new("of_group").partition(&["group"]).sort(&["number"]),
        Index::new("of_parts").partition(&["group", "part"]),
        Index::new("of_flag").partition(&["flag"]).sort(&["at"]).shards(2),
    ]);

fn ordered(index: &'static str) -> Query {
    Query::new(THINGS, index).limit(1000)
}

/// Creates one document for each body, with ids in the reverse of the expected order, and reads them in both
/// directions.
async fn expect_order(store: &Store, index: &'static str, bodies: Vec<Value>) {
    let count = bodies.len();
    let id = |place: usize| format!("{:03}", count - place);
    // Neither in the expected order nor in its reverse.
    let shuffled = (0..count).map(|n| (n * 7 + 3) % count);
    assert_ne!(count % 7, 0, "the shuffle must reach every place");
    store.fill(THINGS, shuffled.map(|place| (id(place), bodies[place].clone()))).await;
    let ids: Vec<String> = (0..count).map(id).collect();
    let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    store.expect_query(&ordered(index), &ids).await;
    ids.reverse();
    store.expect_query(&ordered(index).descending(), &ids).await;
}

/// UTF-16 puts the emoji before U+E000. A collation puts `a` before `B`, and ignores some characters.
pub async fn strings_are_ordered_by_their_utf8_bytes(store: Store) {
    store.migrate(&[THINGS]).await;
    let texts = [
        "",
        "\u{1}",
        "\t",
        " ",
        "  ",
        "!",
        "-a",
        "0",
        "10",
        "9",
        "A",
        "B",
        "Z",
        "_",
        "a",
        "a\u{1}",
        "a ",
        "a b",
        "a-b",
        "aA",
        "aa",
        "ab",
        "b",
        "co-op",
        "coop",
        "e\u{301}",
        "z",
        "\u{7f}",
        "\u{80}",
        "\u{ad}",
        "ß",
        "é",
        "ø",
        "\u{7ff}",
        "\u{800}",
        "\u{200b}",
        "ﬀ",
        "\u{ffff}",
        "\u{10000}",
        "😀",
        "\u{10ffff}",
    ];
    assert!(texts.is_sorted());
    expect_order(&store, "by_text", texts.iter().map(|text| json!({"text": text})).collect()).await;
}

pub async fn integers_are_ordered_over_all_of_i64(store: Store) {
    store.migrate(&[THINGS]).await;
    let numbers = [
        i64::MIN,
        i64::MIN + 1,
        -9_007_199_254_740_993,
        -9_007_199_254_740_992,
        -(1 << 32),
        -256,
        -10,
        -9,
        -1,
        0,
        1,
        9,
        10,
        255,
        256,
        1 << 32,
        9_007_199_254_740_992,
        9_007_199_254_740_993,
        i64::MAX - 1,
        i64::MAX,
    ];
    expect_order(&store, "by_number", numbers.iter().map(|number| json!({"number": number})).collect()).await;
}

pub async fn times_are_ordered_to_the_microsecond(store: Store) {
    store.migrate(&[THINGS]).await;
    let times = [
        i64::MIN,
        -1,
        0,
        1,
        999_999,
        1_000_000,
        1_000_001,
        1_700_000_000_000_000,
        1_700_000_000_500_000,
        1_700_000_000_500_001,
        1_700_000_001_000_000,
    ];
    expect_order(&store, "by_time", times.iter().map(|at| json!({"at": at})).collect()).await;
}

pub async fn false_comes_before_true(store: Store) {
    store.migrate(&[THINGS]).await;
    expect_order(&store, "by_flag", vec![json!({"flag": false}), json!({"flag": true})]).await;
}

pub async fn equal_sort_values_are_ordered_by_id_and_reversed_with_it(store: Store) {
    store.migrate(&[THINGS]).await;
    // Ordered by their bytes.
    let ids = ["-", "0", "10", "9", "A", "a", "a b", "aa", "b", "é", "\u{ffff}", "😀"];
    let body = |id: &str| json!({"number": 1, "group": "g", "part": "p", "text": "t", "is": id});
    store.fill(THINGS, ids.iter().rev().map(|id| ((*id).to_owned(), body(id)))).await;
    let mut reversed = ids;
    reversed.reverse();
    for query in [
        ordered("by_number"),
        ordered("by_text"),
        ordered("of_group").partition(["g"]),
        ordered("of_parts").partition(["g", "p"]),
    ] {
        store.expect_query(&query, &ids).await;
        store.expect_query(&query.descending(), &reversed).await;
    }
}

pub async fn composite_sorts_compare_field_by_field(store: Store) {
    store.migrate(&[THINGS]).await;
    let values =
        [("", 5), ("a", i64::MIN), ("a", -1), ("a", 0), ("a", i64::MAX), ("aa", -7), ("b", -9), ("b", 1)];
    let bodies = values.iter().map(|(text, number)| json!({"text": text, "number": number})).collect();
    expect_order(&store, "by_both", bodies).await;
}

pub async fn adjacent_strings_are_kept_apart(store: Store) {
    store.migrate(&[THINGS]).await;
    let values = [
        ("", "b"),
        ("a", ""),
        ("a", "b"),
        ("a", "c"),
        ("a\u{1}", "a"),
        ("a\u{1}", "b"),
        ("ab", ""),
        ("b", "a"),
    ];
    assert!(values.is_sorted());
    let bodies = values.iter().map(|(text, part)| json!({"text": text, "part": part})).collect();
    expect_order(&store, "by_texts", bodies).await;
}

pub async fn partitions_are_compared_byte_by_byte(store: Store) {
    store.migrate(&[THINGS]).await;
    let groups = ["", "g", "G", "g ", "é", "e\u{301}", "gg", "'", "%", "#", "😀"];
    for (place, group) in groups.iter().enumerate() {
        store.create(THINGS, &place.to_string(), json!({"group": group, "number": 1})).await;
    }
    for (place, group) in groups.into_iter().enumerate() {
        store.expect_query(&ordered("of_group").partition([group]), &[&place.to_string()]).await;
    }
    store.expect_query(&ordered("of_group").partition(["ggg"]), &[]).await;
}

pub async fn the_fields_of_composite_partitions_are_kept_apart(store: Store) {
    store.migrate(&[THINGS]).await;
    let parts = [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"), ("c", "ab")];
    for (place, (group, part)) in parts.iter().enumerate() {
        store.create(THINGS, &place.to_string(), json!({"group": group, "part": part})).await;
    }
    for (place, (group, part)) in parts.into_iter().enumerate() {
        store.expect_query(&ordered("of_parts").partition([group, part]), &[&place.to_string()]).await;
    }
}

pub async fn a_boolean_can_be_a_partition(store: Store) {
    store.migrate(&[THINGS]).await;
    for (id, flag, at) in [("a", true, 2), ("b", false, 1), ("c", true, 1), ("d", false, 2)] {
        store.create(THINGS, id, json!({"flag": flag, "at": at})).await;
    }
    store.expect_query(&ordered("of_flag").partition([true]), &["c", "a"]).await;
    store.expect_query(&ordered("of_flag").partition([false]), &["b", "d"]).await;
}

pub async fn a_document_that_lacks_an_indexed_field_is_not_in_the_index(store: Store) {
    store.migrate(&[THINGS]).await;
    let bodies = [
        ("a", json!({"group": "g", "number": 1})),
        ("b", json!({"group": "g"})),
        ("c", json!({"group": "g", "number": null})),
        ("d", json!({"number": 1})),
        ("e", json!({"group": null, "number": 1})),
        ("f", json!({})),
        ("g", json!({"group": "", "number": 0})),
        ("h", json!({"group": "g", "number": 0})),
    ];
    store.fill(THINGS, bodies.map(|(id, body)| (id.to_owned(), body))).await;
    store.expect_query(&ordered("of_group").partition(["g"]), &["h", "a"]).await;
    store.expect_query(&ordered("of_group").partition([""]), &["g"]).await;
    store.expect_query(&ordered("by_number"), &["g", "h", "a", "d", "e"]).await;

    // The entry is added and removed with the field.
    let a = store.get(THINGS, "a").await.expect("the document exists");
    store.replace(&a, json!({"group": "g", "number": null})).await;
    let b = store.get(THINGS, "b").await.expect("the document exists");
    store.replace(&b, json!({"group": "g", "number": -1})).await;
    store.expect_query(&ordered("of_group").partition(["g"]), &["b", "h"]).await;
}

pub async fn another_kind_of_value_in_an_indexed_field_is_refused(store: Store) {
    store.migrate(&[THINGS]).await;
    let before = store.create(THINGS, "t", json!({"number": 1})).await;
    let wrong = [
        (json!({"number": "1"}), "`number` of things/t must be an integer"),
        (json!({"number": 1.5}), "`number` of things/t must be an integer"),
        (json!({"number": [1]}), "`number` of things/t must be an integer"),
        (json!({"at": true}), "`at` of things/t must be an integer"),
        (json!({"text": 5}), "`text` of things/t must be a string"),
        (json!({"group": {}}), "`group` of things/t must be a string"),
        (json!({"flag": "true"}), "`flag` of things/t must be a boolean"),
        (json!({"flag": 1}), "`flag` of things/t must be a boolean"),
    ];
    for (body, message) in wrong {
        let refusal = Err(Error::Invalid(message.to_owned()));
        assert_eq!(store.commit(vec![create(THINGS, "t", body.clone())]).await, refusal);
        let replaced = vec![replace(&before, body)];
        assert_eq!(store.commit(replaced).await, refusal);
    }
    assert_eq!(store.get(THINGS, "t").await, Some(before));
}

pub async fn a_document_moves_in_its_indexes_when_it_is_replaced(store: Store) {
    store.migrate(&[THINGS]).await;
    store.create(THINGS, "a", json!({"group": "g", "number": 2})).await;
    let moving = store.create(THINGS, "m", json!({"group": "g", "number": 1})).await;
    store.expect_query(&ordered("of_group").partition(["g"]), &["m", "a"]).await;

    let moving = store.replace(&moving, json!({"group": "g", "number": 3})).await;
    store.expect_query(&ordered("of_group").partition(["g"]), &["a", "m"]).await;
    store.expect_query(&ordered("by_number"), &["a", "m"]).await;

    let moving = store.replace(&moving, json!({"group": "h", "number": 3})).await;
    store.expect_query(&ordered("of_group").partition(["g"]), &["a"]).await;
    store.expect_query(&ordered("of_group").partition(["h"]), &["m"]).await;

    store.delete(&moving).await;
    store.expect_query(&ordered("of_group").partition(["h"]), &[]).await;
    store.expect_query(&ordered("by_number"), &["a"]).await;
}

pub async fn a_query_returns_complete_documents_with_their_versions(store: Store) {
    store.migrate(&[THINGS]).await;
    let a = store.create(THINGS, "a", json!({"number": 1, "more": {"list": [1.5, null, "x"]}})).await;
    let b = store.create(THINGS, "b", json!({"number": 2})).await;
    // The indexed fields do not change, but the index has to show the new content.
    let a = store.replace(&a, json!({"number": 1, "more": "new"})).await;
    let found = || async {
        store.backend().query(&ordered("by_number")).await.expect("the query succeeds").documents
    };
    store.eventually(vec![a, b], found).await;
}

/// DynamoDB spreads such an index over several partitions, whose entries have to be merged in order.
pub async fn an_index_over_a_whole_collection_is_ordered_in_both_directions(store: Store) {
    store.migrate(&[THINGS]).await;
    let rank = |n: i64| n * 37 % 200 / 2 - 50; // every rank twice
    let documents = (0..200).map(|n| (format!("{n:03}"), json!({"number": rank(n)})));
    store.fill(THINGS, documents).await;
    let mut expected: Vec<(i64, String)> = (0..200).map(|n| (rank(n), format!("{n:03}"))).collect();
    expected.sort();
    let mut ids: Vec<&str> = expected.iter().map(|(_, id)| id.as_str()).collect();
    for limit in [7, 64, 200] {
        let query = ordered("by_number").limit(limit);
        let pages: Vec<&[&str]> = ids.chunks(limit as usize).collect();
        store.eventually(pages_of(&pages), || store.query_pages(&query)).await;
        ids.reverse();
        let query = query.descending();
        let pages: Vec<&[&str]> = ids.chunks(limit as usize).collect();
        store.eventually(pages_of(&pages), || store.query_pages(&query)).await;
        ids.reverse();
    }
}

pub async fn a_query_that_does_not_match_its_index_is_refused(store: Store) {
    store.migrate(&[THINGS]).await;
    let invalid = [
        Query::new(THINGS, "unknown"),
        ordered("of_group"),
        ordered("by_number").partition(["g"]),
        ordered("of_parts").partition(["g"]),
        ordered("of_group").partition([5]),
        ordered("of_group").partition(["g"]).at_least(["5"]),
        ordered("by_both").at_least(["a"]).at_most([5]),
        Query::new(THINGS, "by_number").at_least([1, 2]),
    ];
    for query in invalid {
        let outcome = store.backend().query(&query).await;
        assert!(matches!(outcome, Err(Error::Invalid(_))), "{query:?}: {outcome:?}");
    }
}
