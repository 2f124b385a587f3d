use serde_json::json;

use crate::conformance::Store;
use crate::conformance::words::{increment, increment_at_least};
use crate::{Cause, Collection, Field};

const STOCK: &Collection =
    &Collection::new("stock").fields(&[Field::integer("available")]).counters(&["available"]);

pub async fn an_increment_below_its_floor_is_rejected(store: Store) {
    store.migrate(&[STOCK]).await;
    store.create(STOCK, "s", json!({"available": 5})).await;
    store.commit(vec![increment_at_least(STOCK, "s", "available", -5, 0)]).await.expect("five are there");
    let again = vec![increment_at_least(STOCK, "s", "available", -1, 0)];
    assert_eq!(store.rejection(again).await, (0, Cause::BelowMinimum));
    store.commit(vec![increment(STOCK, "s", "available", -1)]).await.expect("nothing holds this one");
    let stock = store.get(STOCK, "s").await.expect("the document is there");
    assert_eq!(stock.body["available"], json!(-1));
}
