use serde_json::{Value, json};

use crate::conformance::Store;
use crate::conformance::words::{create, ids, pages_of};
use crate::{Collection, Error, Field, Filter, Index, Query, Scan, Search};

const EVENTS: &Collection = &Collection::new("events")
    .fields(&[
        Field::string("room"),
        Field::integer("rank"),
        Field::string("kind"),
        Field::string("title"),
        Field::integer("part"),
    ])
    .indexes(&[
        Index::new("of_room").partition(&["room"]).sort(&["rank"]),
        Index::new("by_rank").sort(&["rank"]),
        Index::new("by_kind").sort(&["kind", "part"]),
    ])
    .search(&["title"]);

const OTHERS: &Collection = &Collection::new("others")
    .fields(&[Field::string("room"), Field::integer("rank")])
    .indexes(&[Index::new("of_room").partition(&["room"]).sort(&["rank"])]);

/// All events, by rank.
fn of_room() -> Query {
    Query::new(EVENTS, "of_room").partition(["r"]).limit(1000)
}

fn by_rank() -> Query {
    Query::new(EVENTS, "by_rank").limit(1000)
}

fn event(rank: i64) -> Value {
    json!({"room": "r", "rank": rank})
}

/// Stores events with these ids, ranked in this order.
async fn fill(store: &Store, names: &[&str]) {
    let events = names.iter().zip(1..).map(|(name, rank)| ((*name).to_owned(), event(rank)));
    store.fill(EVENTS, events).await;
}

/// Waits until the index shows these events, and returns the cursor after the first page.
async fn cursor(store: &Store, query: &Query, shown: &[&str]) -> String {
    let whole = Query { limit: 1000, ..query.clone() };
    store.expect_query(&whole, shown).await;
    let page = store.backend().query(query).await.expect("the query succeeds");
    page.next.expect("there is another page")
}

pub async fn an_empty_result_is_one_empty_page(store: Store) {
    store.migrate(&[EVENTS]).await;
    for query in [of_room(), by_rank(), of_room().limit(1), by_rank().descending()] {
        assert_eq!(store.query_pages(&query).await, pages_of(&[&[]]));
    }
}

pub async fn limits_around_the_number_of_documents_give_exact_pages(store: Store) {
    store.migrate(&[EVENTS]).await;
    let mut names = ["a", "b", "c", "d", "e", "f", "g"];
    fill(&store, &names).await;
    for query in [of_room(), by_rank(), of_room().descending(), by_rank().descending()] {
        for limit in [1, 2, 3, 6, 7, 8, 1000] {
            let pages: Vec<&[&str]> = names.chunks(limit as usize).collect();
            let query = query.clone().limit(limit);
            store.eventually(pages_of(&pages), || store.query_pages(&query)).await;
        }
        if query.index == "by_rank" {
            names.reverse();
        }
    }
}

pub async fn a_page_holds_1_to_1000_documents(store: Store) {
    store.migrate(&[EVENTS]).await;
    for limit in [0, 1001, u32::MAX] {
        let outcome = store.backend().query(&of_room().limit(limit)).await;
        assert!(matches!(outcome, Err(Error::Limit(_))), "a query for {limit}: {outcome:?}");
        let outcome = store.backend().search(&Search::new(EVENTS, "x").limit(limit)).await;
        assert!(matches!(outcome, Err(Error::Limit(_))), "a search for {limit}: {outcome:?}");
        let outcome = store.backend().scan(&Scan::new(EVENTS).limit(limit)).await;
        assert!(matches!(outcome, Err(Error::Limit(_))), "a scan for {limit}: {outcome:?}");
    }
}

pub async fn a_page_holds_a_thousand_documents(store: Store) {
    store.migrate(&[EVENTS]).await;
    let names: Vec<String> = (0..1003).map(|n| format!("{n:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    fill(&store, &names).await;
    for query in [of_room(), by_rank()] {
        store.eventually(pages_of(&[&names[..1000], &names[1000..]]), || store.query_pages(&query)).await;
    }
}

/// DynamoDB limits its own pages to one megabyte.
pub async fn a_page_holds_more_than_a_megabyte(store: Store) {
    store.migrate(&[EVENTS]).await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let text = "x".repeat(300_000);
    for (name, rank) in names.iter().zip(1..) {
        store.create(EVENTS, name, json!({"room": "r", "rank": rank, "text": text})).await;
    }
    for query in [of_room(), by_rank()] {
        let (whole, parts) = (query.clone().limit(10), query.clone().limit(7));
        store.eventually(pages_of(&[&names]), || store.query_pages(&whole)).await;
        store.eventually(pages_of(&[&names[..7], &names[7..]]), || store.query_pages(&parts)).await;
    }
}

pub async fn a_cursor_survives_the_deletion_of_its_anchor(store: Store) {
    store.migrate(&[EVENTS]).await;
    fill(&store, &["a", "b", "c", "d"]).await;
    let upwards = of_room().limit(2);
    let downwards = by_rank().descending().limit(2);
    let behind_b = upwards.clone().after(Some(cursor(&store, &upwards, &["a", "b", "c", "d"]).await));
    let behind_c = downwards.clone().after(Some(cursor(&store, &downwards, &["d", "c", "b", "a"]).await));
    for name in ["b", "c"] {
        let document = store.get(EVENTS, name).await.expect("the event exists");
        store.delete(&document).await;
    }
    store.expect_query(&behind_b, &["d"]).await;
    store.expect_query(&behind_c, &["a"]).await;
}

pub async fn a_cursor_keeps_its_position_when_its_anchor_moves(store: Store) {
    store.migrate(&[EVENTS]).await;
    fill(&store, &["a", "b", "c", "d"]).await;
    let query = of_room().limit(2);
    let rest = query.clone().after(Some(cursor(&store, &query, &["a", "b", "c", "d"]).await)).limit(10);
    let b = store.get(EVENTS, "b").await.expect("the event exists");
    store.replace(&b, event(9)).await;
    store.expect_query(&rest, &["c", "d", "b"]).await;
}

pub async fn documents_after_a_cursor_are_seen_and_documents_before_it_are_not(store: Store) {
    store.migrate(&[EVENTS]).await;
    fill(&store, &["b", "d", "f"]).await; // ranks 1, 2, 3
    let query = of_room().limit(2);
    let rest = query.clone().after(Some(cursor(&store, &query, &["b", "d", "f"]).await)).limit(10);
    for (name, rank) in [("a", 1), ("c", 2), ("e", 2), ("g", 3), ("h", 0)] {
        store.create(EVENTS, name, event(rank)).await;
    }
    store.expect_query(&rest, &["e", "f", "g"]).await;
}

pub async fn a_page_may_be_continued_with_another_limit(store: Store) {
    store.migrate(&[EVENTS]).await;
    fill(&store, &["a", "b", "c", "d", "e"]).await;
    let query = by_rank().limit(1);
    let rest = query.clone().after(Some(cursor(&store, &query, &["a", "b", "c", "d", "e"]).await));
    let (three, all) = (rest.clone().limit(3), rest.limit(4));
    store.eventually(pages_of(&[&["b", "c", "d"], &["e"]]), || store.query_pages(&three)).await;
    store.eventually(pages_of(&[&["b", "c", "d", "e"]]), || store.query_pages(&all)).await;
}

pub async fn a_cursor_of_one_instance_works_on_another(store: Store) {
    store.migrate(&[EVENTS]).await;
    fill(&store, &["a", "b", "c"]).await;
    let other = store.another().await;
    for (query, shown) in [(of_room(), ["a", "b", "c"]), (by_rank().descending(), ["c", "b", "a"])] {
        let first = query.limit(1);
        let rest = first.clone().after(Some(cursor(&store, &first, &shown).await)).limit(10);
        other.expect_query(&rest, &shown[1..]).await;
    }
}

pub async fn an_altered_cursor_is_refused(store: Store) {
    store.migrate(&[EVENTS]).await;
    fill(&store, &["a", "b", "c"]).await;
    let query = of_room().limit(1);
    let cursor = cursor(&store, &query, &["a", "b", "c"]).await;
    let mut altered: Vec<String> =
        vec![String::new(), "x".to_owned(), "ü".to_owned(), "A".repeat(100_000), format!("{cursor}A")];
    altered.push(cursor[1..].to_owned());
    altered.push(cursor[..cursor.len() - 1].to_owned());
    for place in 0..cursor.len() {
        let mut bytes = cursor.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        altered.push(String::from_utf8(bytes).expect("a cursor is ASCII"));
    }
    for altered in altered {
        let outcome = store.backend().query(&query.clone().after(Some(altered.clone()))).await;
        assert_eq!(outcome, Err(Error::BadCursor), "{altered}");
    }
}

pub async fn a_cursor_of_another_query_is_refused(store: Store) {
    store.migrate(&[EVENTS, OTHERS]).await;
    fill(&store, &["a", "b", "c"]).await;
    let query = of_room().limit(1);
    let cursor = Some(cursor(&store, &query, &["a", "b", "c"]).await);
    let borrowers = [
        query.clone().descending(),
        query.clone().partition(["s"]),
        query.clone().at_least([1]),
        query.clone().at_most([1000]),
        query.clone().filter(Filter::equals("room", "r")),
        by_rank(),
        Query::new(OTHERS, "of_room").partition(["r"]),
    ];
    for borrower in borrowers {
        let outcome = store.backend().query(&borrower.clone().after(cursor.clone())).await;
        assert_eq!(outcome, Err(Error::BadCursor), "{borrower:?}");
    }
    let search = Search::new(EVENTS, "a").after(cursor.clone());
    assert_eq!(store.backend().search(&search).await, Err(Error::BadCursor));
    let scan = Scan::new(EVENTS).after(cursor);
    assert_eq!(store.backend().scan(&scan).await, Err(Error::BadCursor));
}

pub async fn a_cursor_of_another_filter_is_refused(store: Store) {
    store.migrate(&[EVENTS]).await;
    fill(&store, &["a", "b", "c"]).await;
    let filtered = |from: i64| {
        let above = std::ops::Bound::Included(from.into());
        of_room().limit(1).filter(Filter::between("rank", above, std::ops::Bound::Unbounded))
    };
    let cursor = Some(cursor(&store, &filtered(1), &["a", "b", "c"]).await);
    let outcome = store.backend().query(&filtered(0).after(cursor.clone())).await;
    assert_eq!(outcome, Err(Error::BadCursor));
    store.expect_query(&filtered(1).limit(10).after(cursor), &["b", "c"]).await;
}

/// At most a thousand documents are examined for one page.
pub async fn a_filter_that_rarely_matches_gives_short_pages(store: Store) {
    store.migrate(&[EVENTS]).await;
    let wanted = [0, 999, 1000, 1099];
    let documents = (0..1100_i64).map(|n| {
        let kind = if wanted.contains(&n) { "wanted" } else { "other" };
        (format!("{n:04}"), json!({"room": "r", "rank": n, "kind": kind}))
    });
    store.fill(EVENTS, documents).await;
    for query in [of_room(), by_rank()] {
        let query = query.filter(Filter::equals("kind", "wanted"));
        let expect = async |limit: u32, pages: &[&[&str]]| {
            let query = query.clone().limit(limit);
            store.eventually(pages_of(pages), || store.query_pages(&query)).await;
        };
        expect(10, &[&["0000", "0999"], &["1000", "1099"]]).await;
        expect(2, &[&["0000", "0999"], &["1000", "1099"]]).await;
        expect(1, &[&["0000"], &["0999"], &["1000"], &["1099"]]).await;
        expect(3, &[&["0000", "0999"], &["1000", "1099"]]).await;
        let downwards = query.clone().limit(10).descending();
        let pages: [&[&str]; 2] = [&["1099", "1000", "0999"], &["0000"]];
        store.eventually(pages_of(&pages), || store.query_pages(&downwards)).await;
    }
    // Nothing matches: two empty pages.
    let nothing = of_room().filter(Filter::equals("kind", "unknown"));
    store.eventually(pages_of(&[&[], &[]]), || store.query_pages(&nothing)).await;
}

pub async fn a_result_of_exactly_a_thousand_examined_documents_ends(store: Store) {
    store.migrate(&[EVENTS]).await;
    let document = |n: i64| (format!("{n:04}"), json!({"room": "r", "rank": n, "kind": n.to_string()}));
    store.fill(EVENTS, (0..1000).map(document)).await;
    let last = of_room().filter(Filter::equals("kind", "999")).limit(5);
    let nothing = of_room().filter(Filter::equals("kind", "1000")).limit(5);
    store.expect_query(&last, &["0999"]).await;
    store.expect_query(&nothing, &[]).await;
    store.fill(EVENTS, [document(1000)]).await;
    store.eventually(pages_of(&[&["0999"], &[]]), || store.query_pages(&last)).await;
    store.eventually(pages_of(&[&[], &["1000"]]), || store.query_pages(&nothing)).await;
}

pub async fn a_filtered_page_ends_with_its_last_document(store: Store) {
    store.migrate(&[EVENTS]).await;
    let kinds = ["x", "y", "x", "y", "x", "y"];
    let documents = kinds
        .iter()
        .zip(1..)
        .map(|(kind, rank)| (format!("{rank}"), json!({"room": "r", "rank": rank, "kind": kind})));
    store.fill(EVENTS, documents).await;
    for query in [of_room(), by_rank()] {
        let query = query.filter(Filter::equals("kind", "x"));
        let (two, three) = (query.clone().limit(2), query.limit(3));
        store.eventually(pages_of(&[&["1", "3"], &["5"]]), || store.query_pages(&two)).await;
        // No match follows the third one, so the result has ended.
        store.expect_query(&three, &["1", "3", "5"]).await;
    }
}

pub async fn ranges_include_or_exclude_their_bounds(store: Store) {
    store.migrate(&[EVENTS]).await;
    fill(&store, &["a", "b", "c", "d", "e"]).await;
    store.create(EVENTS, "c2", event(3)).await;
    for all in [of_room(), by_rank()] {
        let expected: [(Query, &[&str]); 11] = [
            (all.clone().at_least([2]), &["b", "c", "c2", "d", "e"]),
            (all.clone().above([2]), &["c", "c2", "d", "e"]),
            (all.clone().at_most([3]), &["a", "b", "c", "c2"]),
            (all.clone().below([3]), &["a", "b"]),
            (all.clone().at_least([3]).at_most([3]), &["c", "c2"]),
            (all.clone().above([1]).below([5]), &["b", "c", "c2", "d"]),
            (all.clone().above([3]).below([4]), &[]),
            (all.clone().at_least([4]).at_most([2]), &[]),
            (all.clone().at_least([i64::MIN]).at_most([i64::MAX]), &["a", "b", "c", "c2", "d", "e"]),
            (all.clone().above([i64::MAX]), &[]),
            (all.clone().below([i64::MIN]), &[]),
        ];
        for (query, shown) in expected {
            store.expect_query(&query, shown).await;
            let reversed: Vec<&str> = shown.iter().rev().copied().collect();
            store.expect_query(&query.descending(), &reversed).await;
        }
    }
}

pub async fn a_range_over_the_first_sort_field_includes_every_value_of_the_second(store: Store) {
    store.migrate(&[EVENTS]).await;
    let all =
        [("a", 1), ("a", 2), ("aa", 1), ("b", i64::MIN), ("b", 0), ("b", i64::MAX), ("ba", 0), ("c", 1)];
    let documents = all
        .iter()
        .zip(1..)
        .map(|((kind, part), place)| (place.to_string(), json!({"kind": kind, "part": part})));
    store.fill(EVENTS, documents).await;
    let by_kind = Query::new(EVENTS, "by_kind");
    let pair = |kind: &str, part: i64| [crate::Scalar::from(kind), part.into()];
    let expected: [(Query, &[&str]); 11] = [
        (by_kind.clone().at_least(["b"]), &["4", "5", "6", "7", "8"]),
        (by_kind.clone().above(["b"]), &["7", "8"]),
        (by_kind.clone().at_most(["b"]), &["1", "2", "3", "4", "5", "6"]),
        (by_kind.clone().below(["b"]), &["1", "2", "3"]),
        (by_kind.clone().at_least(["a"]).at_most(["a"]), &["1", "2"]),
        (by_kind.clone().above(["a"]).below(["b"]), &["3"]),
        (by_kind.clone().at_least(pair("b", 0)), &["5", "6", "7", "8"]),
        (by_kind.clone().above(pair("b", 0)).at_most(["b"]), &["6"]),
        (by_kind.clone().above(pair("b", i64::MAX)), &["7", "8"]),
        (by_kind.clone().at_least(["b"]).below(pair("b", 0)), &["4"]),
        (by_kind.clone().at_least([""]).at_most(pair("a", 1)), &["1"]),
    ];
    for (query, shown) in expected {
        store.expect_query(&query, shown).await;
        let reversed: Vec<&str> = shown.iter().rev().copied().collect();
        store.expect_query(&query.descending(), &reversed).await;
    }
}

pub async fn a_range_is_paged_within_its_bounds(store: Store) {
    store.migrate(&[EVENTS]).await;
    fill(&store, &["a", "b", "c", "d", "e", "f", "g"]).await;
    for all in [of_room(), by_rank()] {
        let range = all.above([1]).at_most([6]).limit(2);
        store.eventually(pages_of(&[&["b", "c"], &["d", "e"], &["f"]]), || store.query_pages(&range)).await;
        let range = range.descending();
        store.eventually(pages_of(&[&["f", "e"], &["d", "c"], &["b"]]), || store.query_pages(&range)).await;
    }
}

/// The longest possible positions: sort values and an id of the maximum length.
pub async fn the_longest_sort_keys_are_paged(store: Store) {
    const LONG: &Collection = &Collection::new("long")
        .fields(&[Field::string("a"), Field::string("b")])
        .indexes(&[Index::new("by_both").sort(&["a", "b"])]);
    store.migrate(&[LONG]).await;
    // 513 and 254 bytes of sort values and 257 bytes of the id are 1,024 bytes.
    let (a, b) = ("a".repeat(512), "b".repeat(253));
    let names: Vec<String> = ["1", "2", "3"].map(|end| format!("{}{end}", "i".repeat(255))).into();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    store.fill(LONG, names.iter().map(|name| ((*name).to_owned(), json!({"a": a, "b": b})))).await;
    let query = Query::new(LONG, "by_both").limit(1);
    store.eventually(pages_of(&[&names[..1], &names[1..2], &names[2..]]), || store.query_pages(&query)).await;
    let query = query.descending();
    store.eventually(pages_of(&[&names[2..], &names[1..2], &names[..1]]), || store.query_pages(&query)).await;

    let one_more = json!({"a": a, "b": format!("{b}b")});
    let outcome = store.commit(vec![create(LONG, names[0], one_more)]).await;
    assert!(matches!(outcome, Err(Error::Limit(_))), "{outcome:?}");
    let beyond = Query::new(LONG, "by_both").at_least([a.clone(), "b".repeat(512)]);
    assert_eq!(ids(&store.backend().query(&beyond).await.expect("the query succeeds").documents), [""; 0]);
}
