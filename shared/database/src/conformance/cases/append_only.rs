use std::time::Duration;

use serde_json::json;

use crate::conformance::Store;
use crate::conformance::words::{create_until, delete, ids, replace};
use crate::{Cause, Collection, Error, Field, Index, Query, Scan};

const EVENTS: &Collection = &Collection::new("events")
    .fields(&[Field::integer("number")])
    .indexes(&[Index::new("in_order").sort(&["number"])])
    .expiring()
    .append_only();

const MINUTE: Duration = Duration::from_secs(60);

pub async fn what_is_append_only_is_created_once_and_neither_changed_nor_removed(store: Store) {
    store.migrate(&[EVENTS]).await;
    let stored = store.create(EVENTS, "e", json!({"number": 1})).await;
    let again = create_until(EVENTS, "e", json!({"number": 2}), None);
    assert_eq!(store.rejection(vec![again]).await, (0, Cause::AlreadyExists));
    for change in [replace(&stored, json!({"number": 2})), delete(&stored)] {
        let other = create_until(EVENTS, "other", json!({"number": 3}), None);
        let refused = store.commit(vec![other, change]).await;
        let expected = "the collection `events` is append-only, so events/e is neither changed nor removed";
        assert_eq!(refused, Err(Error::Invalid(expected.to_owned())));
    }
    assert_eq!(store.get(EVENTS, "e").await, Some(stored));
    assert_eq!(store.get(EVENTS, "other").await, None);
}

pub async fn what_is_append_only_expires_is_swept_and_may_be_created_again(store: Store) {
    store.migrate(&[EVENTS]).await;
    for id in ["a", "b"] {
        store.create_until(EVENTS, id, json!({"number": 1}), store.now() + MINUTE).await;
    }
    store.expect_query(&Query::new(EVENTS, "in_order"), &["a", "b"]).await;
    store.clock.advance(MINUTE);
    assert_eq!(store.get(EVENTS, "a").await, None);
    let again = create_until(EVENTS, "a", json!({"number": 2}), store.now() + MINUTE);
    store.commit(vec![again]).await.expect("the earlier document has expired");
    assert_eq!(store.backend().sweep_expired(10).await, Ok(1));
    store.expect_query(&Query::new(EVENTS, "in_order"), &["a"]).await;
    let scanned = || async { ids(&store.scan_pages(&Scan::new(EVENTS)).await.concat()) };
    store.eventually(vec!["a".to_owned()], scanned).await;
}
