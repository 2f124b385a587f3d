use std::collections::HashSet;

use serde_json::json;

use crate::conformance::Store;
use crate::conformance::store::replace;
use crate::{Cause, Collection, Field};

const NOTES: &Collection = &Collection::new("notes").fields(&[Field::string("text")]);

pub async fn every_write_gives_a_version_that_was_never_there_before(store: Store) {
    store.migrate(&[NOTES]).await;
    let mut seen = HashSet::new();
    for _ in 0..2 {
        let mut note = store.create(NOTES, "n", json!({"text": "same"})).await;
        assert!(seen.insert(note.version));
        note = store.replace(&note, json!({"text": "same"})).await;
        assert!(seen.insert(note.version));
        store.delete(&note).await;
    }
}

pub async fn a_replace_with_an_old_version_is_rejected(store: Store) {
    store.migrate(&[NOTES]).await;
    let first = store.create(NOTES, "n", json!({"text": "1"})).await;
    let second = store.replace(&first, json!({"text": "2"})).await;
    assert_eq!(store.rejection(vec![replace(&first, json!({"text": "3"}))]).await, (0, Cause::VersionMismatch));
    assert_eq!(store.get(NOTES, "n").await, Some(second));
}
