use serde_json::{Value, json};

use crate::conformance::Store;
use crate::conformance::words::replace;
use crate::{Collection, Field, Filter, Index, Query};

const FIELDS: &[Field] = &[Field::string("status").few_values(), Field::integer("rank")];
const ORDERS: &Collection = &Collection::new("orders")
    .fields(FIELDS)
    .indexes(&[Index::new("of_status").partition(&["status"]).sort(&["rank"]).shards(5)]);

fn order(status: &str, rank: usize) -> Value {
    json!({"status": status, "rank": rank})
}

/// Fills a store with `count` orders, of which every third is `paid` and the others are `open`. Several orders have
/// the same rank. Returns the ids of the open ones, in order.
async fn fill(store: &Store, collection: &'static Collection, count: usize) -> Vec<String> {
    let status = |number: usize| if number.is_multiple_of(3) { "paid" } else { "open" };
    let rank = |number: usize| (number * 7) % 10;
    let id = |number: usize| format!("o-{number:03}");
    store.fill(collection, (0..count).map(|number| (id(number), order(status(number), rank(number))))).await;
    let mut open: Vec<usize> = (0..count).filter(|number| status(*number) == "open").collect();
    open.sort_by_key(|number| (rank(*number), *number));
    open.into_iter().map(id).collect()
}

fn open(collection: &'static Collection) -> Query {
    Query::new(collection, "of_status").partition(["open"])
}

fn pages(ids: &[String], limit: usize) -> Vec<Vec<String>> {
    ids.chunks(limit).map(<[String]>::to_vec).collect()
}

pub async fn shards_of_a_partition_are_read_as_one_ordered_list(store: Store) {
    store.migrate(&[ORDERS]).await;
    let mut ids = fill(&store, ORDERS, 60).await;
    for limit in [1, 7, 40, 100] {
        let query = open(ORDERS).limit(limit);
        store.eventually(pages(&ids, limit as usize), || store.query_pages(&query)).await;
    }
    ids.reverse();
    let query = open(ORDERS).descending().limit(9);
    store.eventually(pages(&ids, 9), || store.query_pages(&query)).await;
    ids.reverse();
    ids.retain(|id| id.ends_with('1') || id.ends_with('4'));
    let few = open(ORDERS).filter(Filter::one_of("rank", [7, 8])).limit(100);
    store.eventually(pages(&ids, 100), || store.query_pages(&few)).await;
    store.expect_query(&Query::new(ORDERS, "of_status").partition(["unknown"]), &[]).await;
}

pub async fn documents_move_between_the_shards_of_two_partitions(store: Store) {
    store.migrate(&[ORDERS]).await;
    for id in ["a", "b", "c", "d", "e", "f"] {
        store.create(ORDERS, id, order("open", 1)).await;
    }
    for (id, after) in [("b", order("paid", 1)), ("d", order("open", 0)), ("e", order("paid", 0))] {
        let before = store.get(ORDERS, id).await.expect("the document exists");
        store.commit(vec![replace(&before, after)]).await.expect("the document is replaced");
    }
    let gone = store.get(ORDERS, "f").await.expect("the document exists");
    store.delete(&gone).await;
    store.expect_query(&open(ORDERS), &["d", "a", "c"]).await;
    store.expect_query(&Query::new(ORDERS, "of_status").partition(["paid"]), &["e", "b"]).await;
}

pub async fn a_range_over_shards_is_paged_within_its_bounds(store: Store) {
    store.migrate(&[ORDERS]).await;
    let ids = fill(&store, ORDERS, 60).await;
    let rank = |id: &String| id[2..].parse::<usize>().map_or(0, |number| (number * 7) % 10);
    let ids: Vec<String> = ids.into_iter().filter(|id| (3..6).contains(&rank(id))).collect();
    let query = open(ORDERS).at_least([3]).below([6]).limit(5);
    store.eventually(pages(&ids, 5), || store.query_pages(&query)).await;
}

pub async fn an_index_is_complete_after_its_number_of_shards_has_changed(store: Store) {
    const WHOLE: &Collection = &Collection::new("orders")
        .fields(&[Field::string("status"), Field::integer("rank")])
        .indexes(&[Index::new("of_status").partition(&["status"]).sort(&["rank"])]);
    const SPREAD: &Collection = &Collection::new("orders")
        .fields(FIELDS)
        .indexes(&[Index::new("of_status").partition(&["status"]).sort(&["rank"]).shards(3)]);
    store.migrate(&[WHOLE]).await;
    let ids = fill(&store, WHOLE, 30).await;
    for collection in [SPREAD, ORDERS, WHOLE] {
        store.migrate(&[collection]).await;
        let query = open(collection);
        store.eventually(pages(&ids, 100), || store.query_pages(&query)).await;
    }
}
