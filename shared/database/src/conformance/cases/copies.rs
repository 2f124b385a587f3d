//! What an index copies changes what a query costs on DynamoDB. It never changes what the query returns.

use std::time::Duration;

use serde_json::{Value, json};

use crate::conformance::Store;
use crate::conformance::words::{increment, key, replace};
use crate::{Collection, Consistency, Document, Field, Filter, Index, Query};

const FIELDS: &[Field] = &[
    Field::string("shelf"),
    Field::integer("rank"),
    Field::string("color"),
    Field::boolean("sold"),
    Field::integer("left"),
];
const BY_SHELF: Index = Index::new("of_shelf").partition(&["shelf"]).sort(&["rank"]);

const fn goods(name: &'static str, indexes: &'static [Index]) -> Collection {
    Collection::new(name).fields(FIELDS).indexes(indexes).counters(&["left"]).expiring()
}

const NOTHING: &[Index] = &[BY_SHELF];
const COLORS: &[Index] = &[BY_SHELF.copying_fields(&["color"]).shards(3)];
const MORE: &[Index] = &[BY_SHELF.copying_fields(&["sold", "color"])];
const DOCUMENTS: &[Index] = &[BY_SHELF.copying_documents()];

const EVERY_WAY: [&Collection; 4] = [
    &goods("goods_without", NOTHING),
    &goods("goods_with_colors", COLORS),
    &goods("goods_with_more", MORE),
    &goods("goods_with_documents", DOCUMENTS),
];

fn good(rank: usize, color: &str) -> Value {
    json!({"shelf": "s", "rank": rank, "color": color, "sold": rank.is_multiple_of(2), "left": 5, "note": color})
}

fn shelf(collection: &'static Collection, shelf: &str) -> Query {
    Query::new(collection, "of_shelf").partition([shelf])
}

/// Runs `case` with each way to copy.
async fn with_every_way<F: Future<Output = ()>>(
    store: &Store,
    case: impl Fn(Store, &'static Collection) -> F,
) {
    store.migrate(&EVERY_WAY).await;
    for collection in EVERY_WAY {
        case(store.clone(), collection).await;
    }
}

pub async fn an_index_lists_the_present_content_whatever_it_copies(store: Store) {
    with_every_way(&store, |store, collection| async move {
        for (id, rank) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
            store.create(collection, id, good(rank, "red")).await;
        }
        store.expect_query(&shelf(collection, "s"), &["a", "b", "c", "d"]).await;
        // Of these changes, the index has the second alone.
        let a = store.get(collection, "a").await.expect("the document exists");
        let a = store.replace(&a, json!({"shelf": "s", "rank": 1, "left": 4, "note": "new"})).await;
        let b = store.get(collection, "b").await.expect("the document exists");
        let b = store.replace(&b, good(9, "blue")).await;
        store.commit(vec![increment(collection, "c", "left", -2)]).await.expect("the counter is changed");
        let c = store.get(collection, "c").await.expect("the document exists");
        let d = store.get(collection, "d").await.expect("the document exists");
        store.delete(&d).await;
        let query = shelf(collection, "s");
        store
            .eventually(Ok(vec![a, c, b]), || async {
                store.backend().query(&query).await.map(|page| page.documents)
            })
            .await;
    })
    .await;
}

pub async fn an_index_forgets_what_has_moved_or_expired_whatever_it_copies(store: Store) {
    with_every_way(&store, |store, collection| async move {
        let a = store.create(collection, "a", good(1, "red")).await;
        let soon = store.now() + Duration::from_secs(1);
        store.create_until(collection, "b", good(2, "red"), soon).await;
        store.create(collection, "c", good(3, "red")).await;
        store.expect_query(&shelf(collection, "s"), &["a", "b", "c"]).await;
        let mut moved = good(1, "red");
        moved["shelf"] = json!("t");
        store.commit(vec![replace(&a, moved)]).await.expect("the document is replaced");
        store.clock.advance(Duration::from_secs(1));
        store.expect_query(&shelf(collection, "s"), &["c"]).await;
        store.expect_query(&shelf(collection, "t"), &["a"]).await;
    })
    .await;
}

pub async fn filters_find_the_same_whatever_an_index_copies(store: Store) {
    with_every_way(&store, |store, collection| async move {
        let colors = ["red", "green", "blue"];
        store
            .fill(collection, (0..30).map(|rank| (format!("{rank:02}"), good(rank, colors[rank % 3]))))
            .await;
        store.create(collection, "none", json!({"shelf": "s", "rank": 40, "left": 1, "sold": true})).await;
        let null = json!({"shelf": "s", "rank": 41, "left": 1, "sold": true, "color": null});
        store.create(collection, "null", null).await;
        let color = |names: &[&'static str]| Filter::one_of("color", names.to_vec());
        let of = |fits: &dyn Fn(usize) -> bool| -> Vec<String> {
            (0..30).filter(|rank| fits(*rank)).map(|rank| format!("{rank:02}")).collect()
        };
        for (filters, expected) in [
            (vec![color(&["green"])], of(&|rank| rank % 3 == 1)),
            (vec![color(&["green", "blue"])], of(&|rank| rank % 3 > 0)),
            (vec![color(&["blue"]), Filter::equals("sold", true)], of(&|rank| rank % 6 == 2)),
            (vec![color(&["red"]), Filter::equals("note", "red")], of(&|rank| rank % 3 == 0)),
            (vec![color(&["red"]), Filter::equals("note", "blue")], Vec::new()),
            (vec![Filter::equals("rank", 41)], vec!["null".to_owned()]),
        ] {
            let query = filters.into_iter().fold(shelf(collection, "s"), Query::filter);
            for limit in [4, 100] {
                let pages: Vec<Vec<String>> =
                    expected.chunks(limit as usize).map(<[String]>::to_vec).collect();
                let pages = if pages.is_empty() { vec![Vec::new()] } else { pages };
                let limited = query.clone().limit(limit);
                store.eventually(pages, || store.query_pages(&limited)).await;
            }
        }
    })
    .await;
}

pub async fn what_an_index_copies_can_change(store: Store) {
    const FIRST: &Collection = &goods("goods", NOTHING);
    const LATER: [&Collection; 4] =
        [&goods("goods", COLORS), &goods("goods", MORE), &goods("goods", DOCUMENTS), FIRST];
    let documents = async |collection| {
        let keys: Vec<_> = (0..9).map(|rank| key(collection, &rank.to_string())).collect();
        let found = store.backend().get_many(&keys, Consistency::Linearizable).await;
        found.expect("the documents are read").into_iter().flatten().collect::<Vec<Document>>()
    };
    store.migrate(&[FIRST]).await;
    store.fill(FIRST, (0..9).map(|rank| (rank.to_string(), good(rank, "red")))).await;
    for (round, collection) in LATER.into_iter().enumerate() {
        let before = documents(FIRST).await;
        store.migrate(&[collection]).await;
        let after = documents(collection).await;
        assert_eq!(after, before, "a migration changes no document");
        store.replace(&after[round], good(round, "blue")).await;
        let blue: Vec<String> = (0..=round).map(|rank| rank.to_string()).collect();
        let query = shelf(collection, "s").filter(Filter::equals("color", "blue"));
        store.eventually(vec![blue], || store.query_pages(&query)).await;
    }
}
