use std::collections::BTreeMap;

use serde_json::json;

use crate::conformance::Store;
use crate::conformance::words::ids;
use crate::{Collection, Error, Field, Index, Query, Scan};

const THINGS: &Collection = &Collection::new("things")
    .fields(&[Field::integer("rank")])
    .indexes(&[Index::new("by_rank").sort(&["rank"])]);

const OTHERS: &Collection = &Collection::new("others");

fn name(number: usize) -> String {
    format!("{number:03}")
}

/// Returns how often a scan returns each document, and the sizes of its pages.
async fn counted(store: &Store, scan: &Scan) -> (BTreeMap<String, u32>, Vec<usize>) {
    let pages = store.scan_pages(scan).await;
    let mut met = BTreeMap::new();
    for id in pages.iter().flat_map(|page| ids(page)) {
        *met.entry(id).or_insert(0) += 1;
    }
    (met, pages.iter().map(Vec::len).collect())
}

/// The same for a scan with pages of the maximum size.
async fn whole(store: &Store) -> (BTreeMap<String, u32>, Vec<usize>) {
    counted(store, &Scan::new(THINGS)).await
}

fn once(numbers: impl IntoIterator<Item = usize>) -> BTreeMap<String, u32> {
    numbers.into_iter().map(|number| (name(number), 1)).collect()
}

pub async fn a_scan_returns_every_document_once_in_exact_pages(store: Store) {
    store.migrate(&[THINGS, OTHERS]).await;
    // Half of the documents are in no index.
    let body = |n: usize| if n < 65 { json!({"rank": n}) } else { json!({}) };
    store.fill(THINGS, (0..130).map(|n| (name(n), body(n)))).await;
    store.fill(OTHERS, (0..5).map(|n| (name(n), json!({})))).await;
    for (limit, sizes) in [
        (1, vec![1; 130]),
        (64, vec![64, 64, 2]),
        (65, vec![65, 65]),
        (129, vec![129, 1]),
        (130, vec![130]),
        (131, vec![130]),
        (1000, vec![130]),
    ] {
        let scan = Scan::new(THINGS).limit(limit);
        store.eventually((once(0..130), sizes), || counted(&store, &scan)).await;
    }
}

pub async fn a_scan_of_an_empty_collection_is_one_empty_page(store: Store) {
    store.migrate(&[THINGS, OTHERS]).await;
    store.create(OTHERS, "o", json!({})).await;
    store.eventually((BTreeMap::new(), vec![0]), || whole(&store)).await;
}

pub async fn a_scan_returns_complete_documents_with_their_versions(store: Store) {
    store.migrate(&[THINGS]).await;
    let first = store.create(THINGS, "t", json!({"rank": 1, "more": [1.5, {"x": null}]})).await;
    let second = store.replace(&first, json!({"rank": 1, "more": "new"})).await;
    let scan = Scan::new(THINGS);
    store.eventually(vec![vec![second]], || store.scan_pages(&scan)).await;
}

pub async fn a_scan_continues_on_another_instance(store: Store) {
    store.migrate(&[THINGS]).await;
    store.fill(THINGS, (0..20).map(|n| (name(n), json!({"rank": n})))).await;
    let stores = [store.clone(), store.another().await, store.another().await];
    for store in &stores {
        store.eventually((once(0..20), vec![20]), || whole(store)).await;
    }
    let mut met = Vec::new();
    let mut scan = Scan::new(THINGS).limit(6);
    for store in &stores {
        let page = store.backend().scan(&scan).await.expect("the scan succeeds");
        met.extend(ids(&page.documents));
        scan = scan.after(page.next).limit(7);
    }
    assert_eq!(scan.cursor, None);
    met.sort();
    assert_eq!(met, (0..20).map(name).collect::<Vec<_>>());
}

pub async fn concurrent_deletions_neither_hide_nor_repeat_other_documents(store: Store) {
    store.migrate(&[THINGS]).await;
    store.fill(THINGS, (0..60).map(|n| (name(n), json!({"rank": n})))).await;
    store.eventually((once(0..60), vec![60]), || whole(&store)).await;
    let mut met = BTreeMap::new();
    let mut scan = Scan::new(THINGS).limit(10);
    let mut deleted = 0;
    loop {
        let page = store.backend().scan(&scan).await.expect("the scan succeeds");
        for id in ids(&page.documents) {
            *met.entry(id).or_insert(0) += 1;
        }
        // Deletes the document at the cursor's position, and others, some of which the scan has already returned.
        let anchor = page.documents.last().filter(|document| document.body["rank"].as_u64() >= Some(30));
        let more = (0..4).map(|n| name(deleted + n));
        for id in more.chain(anchor.map(|anchor| anchor.key.id().to_owned())) {
            if let Some(document) = store.get(THINGS, &id).await {
                store.delete(&document).await;
            }
        }
        deleted += 4;
        match page.next {
            Some(next) => scan = scan.after(Some(next)),
            None => break,
        }
    }
    for (id, times) in &met {
        assert_eq!(*times, 1, "{id} was returned more than once");
    }
    let remaining = store.scan_pages(&Scan::new(THINGS)).await.concat();
    assert!(remaining.len() >= 24, "most of the upper half must remain");
    for document in remaining {
        assert!(met.contains_key(document.key.id()), "{} exists but was not returned", document.key);
    }
}

pub async fn concurrent_writes_neither_hide_nor_repeat_existing_documents(store: Store) {
    store.migrate(&[THINGS]).await;
    store.fill(THINGS, (0..40).map(|n| (name(n), json!({"rank": n})))).await;
    store.eventually((once(0..40), vec![40]), || whole(&store)).await;
    let mut met = BTreeMap::new();
    let mut scan = Scan::new(THINGS).limit(7);
    for round in 0.. {
        let page = store.backend().scan(&scan).await.expect("the scan succeeds");
        for id in ids(&page.documents) {
            *met.entry(id).or_insert(0) += 1;
        }
        let Some(next) = page.next else { break };
        scan = scan.after(Some(next));
        // Documents are changed and created during the scan.
        for n in (round..40).step_by(5) {
            let document = store.get(THINGS, &name(n)).await.expect("the document exists");
            store.replace(&document, json!({"rank": 1000 - n})).await;
        }
        store.create(THINGS, &format!("new-{round}"), json!({"rank": 0})).await;
    }
    met.retain(|id, _| !id.starts_with("new-"));
    assert_eq!(met, once(0..40));
}

pub async fn a_scan_holds_more_than_a_megabyte(store: Store) {
    store.migrate(&[OTHERS]).await;
    let text = "x".repeat(300_000);
    for n in 0..10 {
        store.create(OTHERS, &name(n), json!({"text": text})).await;
    }
    for (limit, sizes) in [(10, vec![10]), (7, vec![7, 3])] {
        let scan = Scan::new(OTHERS).limit(limit);
        store.eventually((once(0..10), sizes), || counted(&store, &scan)).await;
    }
}

pub async fn ids_of_every_kind_are_scanned(store: Store) {
    store.migrate(&[OTHERS]).await;
    let names = [
        "a",
        "A",
        " ",
        "'",
        "\"",
        "\\",
        "%",
        "é",
        "e\u{301}",
        "\u{1}",
        "\u{ffff}",
        "😀",
        "\u{10ffff}",
        "null",
    ];
    store.fill(OTHERS, names.map(|name| (name.to_owned(), json!({})))).await;
    let expected: BTreeMap<String, u32> = names.iter().map(|name| ((*name).to_owned(), 1)).collect();
    let one_by_one = Scan::new(OTHERS).limit(1);
    store.eventually((expected, vec![1; names.len()]), || counted(&store, &one_by_one)).await;
}

pub async fn a_cursor_of_another_scan_is_refused(store: Store) {
    store.migrate(&[THINGS, OTHERS]).await;
    store.fill(THINGS, (0..5).map(|n| (name(n), json!({"rank": n})))).await;
    store.eventually((once(0..5), vec![5]), || whole(&store)).await;
    let page = store.backend().scan(&Scan::new(THINGS).limit(2)).await.expect("the scan succeeds");
    let cursor = page.next.expect("there is another page");
    let borrowed = Scan::new(OTHERS).after(Some(cursor.clone()));
    assert_eq!(store.backend().scan(&borrowed).await, Err(Error::BadCursor));
    let query = Query::new(THINGS, "by_rank").after(Some(cursor.clone()));
    assert_eq!(store.backend().query(&query).await, Err(Error::BadCursor));
    for altered in [String::new(), "x".to_owned(), format!("{cursor}A"), cursor[1..].to_owned()] {
        let scan = Scan::new(THINGS).after(Some(altered));
        assert_eq!(store.backend().scan(&scan).await, Err(Error::BadCursor));
    }
}
