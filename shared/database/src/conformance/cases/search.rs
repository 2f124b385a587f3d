use serde_json::{Value, json};

use crate::conformance::Store;
use crate::conformance::words::{ids, increment, pages_of};
use crate::limits::{MAX_SEARCH_BYTES, MAX_SEARCH_TERMS, MAX_TERM_BYTES, MAX_TERMS};
use crate::{Collection, Error, Field, Filter, Index, Query, Search};

const BOOKS: &Collection = &Collection::new("books")
    .fields(&[
        Field::string("title"),
        Field::string("author"),
        Field::string("shelf"),
        Field::integer("year"),
        Field::integer("lent"),
    ])
    .indexes(&[Index::new("by_year").sort(&["year"])])
    .search(&["title", "author"])
    .counters(&["lent"]);

const SILENT: &Collection = &Collection::new("silent").fields(&[Field::string("title")]);

fn titled(title: &str) -> Value {
    json!({"title": title, "lent": 0})
}

/// Stores books with these titles, with the ids `a`, `b` and so on.
async fn fill(store: &Store, titles: &[&str]) {
    store.migrate(&[BOOKS]).await;
    let books = titles.iter().zip('a'..).map(|(title, name)| (name.to_string(), titled(title)));
    store.fill(BOOKS, books).await;
}

fn books(text: impl Into<String>) -> Search {
    Search::new(BOOKS, text)
}

async fn expect(store: &Store, text: &str, names: &[&str]) {
    store.expect_search(&books(text), names).await;
}

pub async fn a_document_is_found_by_each_of_its_words(store: Store) {
    fill(&store, &["The Left Hand of Darkness", "The Word for World is Forest", "Darkness at Noon"]).await;
    for word in ["left", "hand", "of"] {
        expect(&store, word, &["a"]).await;
    }
    expect(&store, "darkness", &["a", "c"]).await;
    expect(&store, "the", &["a", "b"]).await;
    expect(&store, "right", &[]).await;
}

pub async fn a_word_is_found_by_its_beginning_and_not_by_its_middle(store: Store) {
    fill(&store, &["forest", "forestry", "for", "deforest"]).await;
    expect(&store, "forest", &["a", "b"]).await;
    expect(&store, "for", &["c", "a", "b"]).await; // ordered by the words
    expect(&store, "f", &["c", "a", "b"]).await;
    expect(&store, "forestr", &["b"]).await;
    expect(&store, "forestrys", &[]).await;
    expect(&store, "orest", &[]).await;
}

pub async fn every_word_of_a_search_must_match(store: Store) {
    fill(&store, &["red green blue", "red green", "green", "blue red"]).await;
    expect(&store, "red green", &["a", "b"]).await;
    expect(&store, "green red", &["a", "b"]).await;
    expect(&store, "re blu", &["a", "d"]).await;
    expect(&store, "red green blue", &["a"]).await;
    expect(&store, "red green blue black", &[]).await;
    expect(&store, "red red red", &["a", "b", "d"]).await;
}

pub async fn words_are_found_in_all_search_fields_and_in_no_others(store: Store) {
    store.migrate(&[BOOKS]).await;
    let shelved = json!({"title": "Emma", "author": "Jane Austen", "shelf": "novels", "lent": 0});
    store.create(BOOKS, "a", shelved).await;
    store.create(BOOKS, "b", json!({"author": "Emma Goldman", "lent": 0})).await;
    store.create(BOOKS, "c", json!({"title": null, "author": null, "lent": 0})).await;
    expect(&store, "emma", &["a", "b"]).await;
    expect(&store, "emma austen", &["a"]).await;
    expect(&store, "novels", &[]).await;
}

pub async fn case_and_diacritics_make_no_difference(store: Store) {
    fill(&store, &["Zoë Ångström", "ZOE ANGSTROM", "Straße", "STRASSE", "Łódź", "smørrebrød", "ﬁne"]).await;
    for text in ["zoë ångström", "ZOE", "Zoe\u{308}", "angstrom", "ÅNGSTRÖM"] {
        expect(&store, text, &["a", "b"]).await;
    }
    expect(&store, "strasse", &["c", "d"]).await;
    expect(&store, "straße", &["c", "d"]).await;
    expect(&store, "lodz", &["e"]).await;
    expect(&store, "Smorrebrod", &["f"]).await;
    expect(&store, "fine", &["g"]).await;
}

pub async fn words_of_every_script_are_found(store: Store) {
    fill(
        &store,
        &[
            "Война и мир",
            "한글 소설",
            "吾輩は猫である",
            "ὈΔΎΣΣΕΙΑ του Ομήρου",
            "हिन्दी साहित्य",
            "كِتَاب الأغاني",
            "ספר הזוהר",
        ],
    )
    .await;
    let found = [
        ("война", "a"),
        ("ВОЙНА мир", "a"),
        ("한글", "b"),
        ("소설", "b"),
        ("猫", "c"),
        ("吾輩", "c"),
        ("οδυσσεια", "d"),
        ("ομηρου", "d"),
        ("हिन्दी", "e"),
        ("साहित्य", "e"),
        ("كتاب", "f"),
        ("הזוהר", "g"),
    ];
    for (text, name) in found {
        expect(&store, text, &[name]).await;
    }
}

pub async fn apostrophes_are_one_and_may_be_left_out(store: Store) {
    fill(&store, &["Sinéad O’Connor", "Mary O'Connor", "Pat OConnor", "Ann O`Connor", "L'Oréal", "Oʼahu"])
        .await;
    for text in ["o'connor", "O’CONNOR", "oʼconnor", "o´connor", "oconnor", "o'co"] {
        expect(&store, text, &["a", "b", "c", "d"]).await;
    }
    expect(&store, "connor", &["a", "b", "d"]).await;
    expect(&store, "o connor", &["a", "b", "d"]).await;
    expect(&store, "sinead o'connor", &["a"]).await;
    for text in ["l'oreal", "L’Oréal", "loreal", "oréal"] {
        expect(&store, text, &["e"]).await;
    }
    expect(&store, "o'ahu", &["f"]).await;
}

pub async fn words_are_found_whole_and_by_their_parts(store: Store) {
    fill(
        &store,
        &["A.P.C. jeans", "iPhone_15-Pro", "T-Shirt", "3.5mm cable", "35mm film", "co\u{ad}operate"],
    )
    .await;
    for text in ["apc", "a.p.c.", "A.P.C", "ap", "p.c.", "a p c", "jeans apc"] {
        expect(&store, text, &["a"]).await;
    }
    for text in ["iphone_15", "iphone 15", "iphone15", "iPhone 15 Pro", "15pro", "pro 15", "iphone-15-pro"] {
        expect(&store, text, &["b"]).await;
    }
    for text in ["t-shirt", "tshirt", "t shirt", "shirt"] {
        expect(&store, text, &["c"]).await;
    }
    expect(&store, "3.5", &["d"]).await;
    expect(&store, "3,5mm", &["d"]).await;
    expect(&store, "35mm", &["e"]).await;
    expect(&store, "cooperate", &["f"]).await;
    for text in ["iphone16", "phone", "hirt", "apcx"] {
        expect(&store, text, &[]).await;
    }
}

pub async fn an_address_is_found_by_its_local_part_and_by_its_domain(store: Store) {
    fill(&store, &["ada.lovelace+tag@mail.example.com", "lovelace@my-shop24.de", "com"]).await;
    for text in [
        "ada.lovelace+tag@mail.example.com",
        "ada.lovelace",
        "adalovelace",
        "ada",
        "lovelace tag",
        "mail.example",
    ] {
        expect(&store, text, &["a"]).await;
    }
    for text in ["LOVELACE@my-shop24.de", "my-shop24.de", "shop24.de", "shop24"] {
        expect(&store, text, &["b"]).await;
    }
    expect(&store, "lovelace", &["b", "a"]).await; // ordered by the terms: `lovelace`, `lovelacetag`
    // The parts of a domain are not terms.
    expect(&store, "com", &["c"]).await;
    expect(&store, "de", &[]).await;
    expect(&store, "example", &[]).await;
}

/// Text with a meaning in SQL, in patterns, in full-text queries or in expressions is either not a word or a plain
/// word.
pub async fn metacharacters_have_no_meaning(store: Store) {
    fill(&store, &["plain text", "100% cotton", "and or not near", "a.b:c", "it's"]).await;
    for nothing in [
        "", " ", "%", "_", "*", "'", "\"", "\\", "--", ";", "()", "&", "|", "!", "<->", ":*", "$", "?", "{}",
        "^",
    ] {
        expect(&store, nothing, &[]).await;
    }
    for text in [
        "plain' OR '1'='1",
        "plain\" OR \"\"=\"",
        "plain OR text",
        "plain NOT x",
        "title:plain",
        "pl%in",
        "pl_in",
    ] {
        expect(&store, text, &[]).await;
    }
    for text in [
        "plain*",
        "plain & text",
        "'plain' | !text",
        "\"plain text\"",
        "(plain)",
        "plain:*",
        "plain;--",
        "%plain%",
    ] {
        expect(&store, text, &["a"]).await;
    }
    expect(&store, "100%", &["b"]).await;
    for text in ["AND", "or", "NOT", "near", "and not"] {
        expect(&store, text, &["c"]).await;
    }
    expect(&store, "it's", &["e"]).await;
}

pub async fn results_are_ordered_by_the_matching_word_and_then_by_id(store: Store) {
    fill(&store, &["bark zebra", "bar", "bat apple", "bar", "ba zoo", "band", "zoo"]).await;
    expect(&store, "ba", &["e", "f", "b", "d", "a", "c"]).await;
    // The longest word of a search determines the order.
    expect(&store, "ba zo", &["e"]).await;
    fill(&store, &[]).await;
    for (name, title) in [("x", "cab dote"), ("y", "cat dot"), ("z", "ca doze")] {
        store.create(BOOKS, name, titled(title)).await;
    }
    expect(&store, "ca do", &["z", "x", "y"]).await; // of two longest words, the lower one does
    expect(&store, "c do", &["y", "x", "z"]).await;
    expect(&store, "ca d", &["z", "x", "y"]).await;
}

pub async fn pages_of_a_search_are_exact(store: Store) {
    fill(&store, &["word", "word", "word", "word", "word", "word", "word", "other"]).await;
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    for limit in [1, 2, 6, 7, 8] {
        let pages: Vec<&[&str]> = names.chunks(limit as usize).collect();
        let search = books("word").limit(limit);
        store.eventually(pages_of(&pages), || store.search_pages(&search)).await;
    }
}

/// More documents than any backend reads at once, and than DynamoDB reads by key in one call.
pub async fn a_search_finds_hundreds_of_documents_in_one_page(store: Store) {
    store.migrate(&[BOOKS]).await;
    let names: Vec<String> = (0..230).map(|n| format!("{n:03}")).collect();
    store.fill(BOOKS, names.iter().map(|name| (name.clone(), titled("word")))).await;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    store.expect_search(&books("wor").limit(1000), &names).await;
    let pages: Vec<&[&str]> = names.chunks(101).collect();
    let paged = books("word").limit(101);
    store.eventually(pages_of(&pages), || store.search_pages(&paged)).await;
}

pub async fn a_document_with_several_matching_words_is_returned_once(store: Store) {
    fill(&store, &["to tom tone top toy", "tom", "toe toy two", "too"]).await;
    expect(&store, "to", &["a", "c", "b", "d"]).await;
    for limit in [1_u32, 2, 3] {
        let names = ["a", "c", "b", "d"];
        let pages: Vec<&[&str]> = names.chunks(limit as usize).collect();
        let search = books("to").limit(limit);
        store.eventually(pages_of(&pages), || store.search_pages(&search)).await;
    }
}

pub async fn a_cursor_of_another_search_is_refused(store: Store) {
    fill(&store, &["word one", "word two", "word three"]).await;
    let search = books("word").limit(1);
    expect(&store, "word", &["a", "b", "c"]).await;
    let next = store.backend().search(&search).await.expect("the search succeeds").next;
    assert!(next.is_some());
    let rest = search.clone().limit(5).after(next.clone());
    store.expect_search(&rest, &["b", "c"]).await;
    store.another().await.expect_search(&rest, &["b", "c"]).await;
    let borrowers = [
        books("wor"),
        books("word t"),
        books("words"),
        books(""),
        books("word").filter(Filter::equals("lent", 0)),
    ];
    for borrower in borrowers {
        let outcome = store.backend().search(&borrower.clone().after(next.clone())).await;
        assert_eq!(outcome, Err(Error::BadCursor), "{borrower:?}");
    }
    let query = Query::new(BOOKS, "by_year").after(next);
    assert_eq!(store.backend().query(&query).await, Err(Error::BadCursor));
    let altered = search.after(Some("AAAA".to_owned()));
    assert_eq!(store.backend().search(&altered).await, Err(Error::BadCursor));
}

pub async fn filters_narrow_a_search(store: Store) {
    store.migrate(&[BOOKS]).await;
    for (name, year) in [("a", 1), ("b", 2), ("c", 1), ("d", 2), ("e", 1)] {
        store.create(BOOKS, name, json!({"title": "word", "year": year, "lent": 0})).await;
    }
    let of_year = |year: i64| books("word").filter(Filter::equals("year", year));
    store.expect_search(&of_year(1), &["a", "c", "e"]).await;
    store.expect_search(&of_year(2), &["b", "d"]).await;
    store.expect_search(&of_year(3), &[]).await;
    let paged = of_year(1).limit(2);
    store.eventually(pages_of(&[&["a", "c"], &["e"]]), || store.search_pages(&paged)).await;
}

pub async fn a_replaced_document_is_found_by_its_new_words_only(store: Store) {
    fill(&store, &["old same", "same"]).await;
    expect(&store, "old", &["a"]).await;
    let a = store.get(BOOKS, "a").await.expect("the document exists");
    let a = store.replace(&a, titled("new same")).await;
    expect(&store, "old", &[]).await;
    expect(&store, "new", &["a"]).await;
    expect(&store, "same", &["a", "b"]).await;
    store.replace(&a, json!({"title": null, "lent": 0})).await;
    expect(&store, "new", &[]).await;
    expect(&store, "same", &["b"]).await;
}

pub async fn a_deleted_document_is_no_longer_found(store: Store) {
    fill(&store, &["one two three", "two"]).await;
    expect(&store, "two", &["a", "b"]).await;
    let a = store.get(BOOKS, "a").await.expect("the document exists");
    store.delete(&a).await;
    for (text, names) in [("one", &[][..]), ("two", &["b"]), ("three", &[])] {
        expect(&store, text, names).await;
    }
    store.create(BOOKS, "a", titled("three")).await;
    expect(&store, "three", &["a"]).await;
    expect(&store, "one", &[]).await;
}

pub async fn a_search_returns_complete_documents_with_their_versions(store: Store) {
    fill(&store, &["word one", "word two"]).await;
    // The words do not change, but the result has to show the new content.
    let a = store.get(BOOKS, "a").await.expect("the document exists");
    let a = store.replace(&a, json!({"title": "word one", "lent": 0, "more": [1.5, {"x": null}]})).await;
    store.commit(vec![increment(BOOKS, "b", "lent", 2)]).await.expect("the counter exists");
    let b = store.get(BOOKS, "b").await.expect("the document exists");
    let search = books("word");
    let found = || async { store.backend().search(&search).await.expect("the search succeeds").documents };
    store.eventually(vec![a, b], found).await;
}

pub async fn a_document_is_found_by_its_first_words_up_to_the_cap(store: Store) {
    store.migrate(&[BOOKS]).await;
    let words: Vec<String> = (0..MAX_TERMS + 5).map(|n| format!("word{n:02}")).collect();
    // Repeated words do not count.
    let title = format!("word00 {} word01", words[..20].join(" "));
    let author = words[20..].join(" ");
    store.create(BOOKS, "a", json!({"title": title, "author": author, "lent": 0})).await;
    for (place, word) in words.iter().enumerate() {
        let names: &[&str] = if place < MAX_TERMS { &["a"] } else { &[] };
        expect(&store, word, names).await;
    }
    expect(&store, "word", &["a"]).await;
}

pub async fn long_words_are_cut_alike_in_documents_and_searches(store: Store) {
    let long = "w".repeat(MAX_TERM_BYTES);
    fill(&store, &[&format!("{long}xyz"), &"é".repeat(100), "w"]).await;
    expect(&store, &long, &["a"]).await;
    expect(&store, &format!("{long}abc"), &["a"]).await;
    expect(&store, &long[1..], &["a"]).await;
    expect(&store, &"e".repeat(200), &["b"]).await;
    expect(&store, "w", &["c", "a"]).await;
}

pub async fn a_search_has_its_limits(store: Store) {
    fill(&store, &["w0"]).await;
    let words = |count: usize| (0..count).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    expect(&store, &words(MAX_SEARCH_TERMS), &[]).await;
    expect(&store, &"w0 ".repeat(MAX_SEARCH_BYTES / 3), &["a"]).await;
    for text in [words(MAX_SEARCH_TERMS + 1), " ".repeat(MAX_SEARCH_BYTES + 1)] {
        let outcome = store.backend().search(&books(text)).await;
        assert!(matches!(outcome, Err(Error::Limit(_))), "{outcome:?}");
    }
}

pub async fn a_collection_without_search_fields_cannot_be_searched(store: Store) {
    store.migrate(&[SILENT]).await;
    let outcome = store.backend().search(&Search::new(SILENT, "word")).await;
    let message = "the collection `silent` declares no search fields".to_owned();
    assert_eq!(outcome, Err(Error::Invalid(message)));
}

pub async fn searches_of_two_collections_are_separate(store: Store) {
    const PAPERS: &Collection =
        &Collection::new("papers").fields(&[Field::string("title")]).search(&["title"]);
    fill(&store, &["word"]).await;
    store.migrate(&[PAPERS]).await;
    store.create(PAPERS, "a", json!({"title": "word"})).await;
    store.create(PAPERS, "p", json!({"title": "word"})).await;
    store.expect_search(&Search::new(PAPERS, "word"), &["a", "p"]).await;
    expect(&store, "word", &["a"]).await;
    let page = store.backend().search(&books("word")).await.expect("the search succeeds");
    assert_eq!(ids(&page.documents), ["a"]);
    assert_eq!(page.documents[0].key.collection(), BOOKS);
}
