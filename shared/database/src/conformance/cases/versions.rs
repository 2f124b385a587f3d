use std::collections::HashSet;

use serde_json::json;

use crate::conformance::Store;
use crate::conformance::words::{check, create, delete, increment, replace};
use crate::{Cause, Collection, Expect, Field, Version};

const NOTES: &Collection =
    &Collection::new("notes").fields(&[Field::string("text"), Field::integer("read")]).counters(&["read"]);

pub async fn every_write_sets_a_new_version(store: Store) {
    store.migrate(&[NOTES]).await;
    let mut seen = HashSet::new();
    for _ in 0..2 {
        let mut note = store.create(NOTES, "n", json!({"text": "same", "read": 0})).await;
        assert!(seen.insert(note.version));
        note = store.replace(&note, json!({"text": "same", "read": 0})).await;
        assert!(seen.insert(note.version));
        store.commit(vec![increment(NOTES, "n", "read", 0)]).await.expect("zero can be added");
        note = store.get(NOTES, "n").await.expect("the note exists");
        assert!(seen.insert(note.version));
        store.delete(&note).await;
    }
    assert!(!seen.contains(&Version::NONE));
}

pub async fn a_replace_with_an_old_version_is_rejected(store: Store) {
    store.migrate(&[NOTES]).await;
    let first = store.create(NOTES, "n", json!({"text": "1", "read": 0})).await;
    let second = store.replace(&first, json!({"text": "2", "read": 0})).await;
    let again = vec![replace(&first, json!({"text": "3", "read": 0}))];
    assert_eq!(store.rejection(again).await, (0, Cause::VersionMismatch));
    assert_eq!(store.get(NOTES, "n").await, Some(second));
}

pub async fn a_delete_with_an_old_version_is_rejected(store: Store) {
    store.migrate(&[NOTES]).await;
    let first = store.create(NOTES, "n", json!({"text": "1", "read": 0})).await;
    let second = store.replace(&first, json!({"text": "2", "read": 0})).await;
    assert_eq!(store.rejection(vec![delete(&first)]).await, (0, Cause::VersionMismatch));
    assert_eq!(store.get(NOTES, "n").await, Some(second));
}

pub async fn a_recreated_document_matches_no_old_version(store: Store) {
    store.migrate(&[NOTES]).await;
    let body = json!({"text": "same", "read": 0});
    let first = store.create(NOTES, "n", body.clone()).await;
    store.delete(&first).await;
    let second = store.create(NOTES, "n", body.clone()).await;

    let old = check(NOTES, "n", Expect::Version(first.version));
    assert_eq!(store.rejection(vec![old]).await, (0, Cause::CheckFailed));
    assert_eq!(store.rejection(vec![replace(&first, body)]).await, (0, Cause::VersionMismatch));
    assert_eq!(store.rejection(vec![delete(&first)]).await, (0, Cause::VersionMismatch));
    assert_eq!(store.get(NOTES, "n").await, Some(second));
}

pub async fn an_absent_document_can_be_neither_replaced_nor_deleted(store: Store) {
    store.migrate(&[NOTES]).await;
    let note = store.create(NOTES, "n", json!({"text": "1", "read": 0})).await;
    store.delete(&note).await;
    assert_eq!(store.rejection(vec![delete(&note)]).await, (0, Cause::NotFound));
    let back = vec![replace(&note, json!({"text": "2", "read": 0}))];
    assert_eq!(store.rejection(back).await, (0, Cause::NotFound));
    assert_eq!(store.get(NOTES, "n").await, None);
}

pub async fn an_existing_document_cannot_be_created(store: Store) {
    store.migrate(&[NOTES]).await;
    let body = json!({"text": "same", "read": 0});
    let note = store.create(NOTES, "n", body.clone()).await;
    assert_eq!(store.rejection(vec![create(NOTES, "n", body)]).await, (0, Cause::AlreadyExists));
    assert_eq!(store.get(NOTES, "n").await, Some(note));
}

pub async fn commit_returns_the_version_of_each_operation_in_order(store: Store) {
    store.migrate(&[NOTES]).await;
    let body = json!({"text": "t", "read": 1});
    for id in ["counted", "deleted", "replaced"] {
        store.create(NOTES, id, body.clone()).await;
    }
    let read = async |id| store.get(NOTES, id).await.expect("the note exists");
    let operations = vec![
        check(NOTES, "absent", Expect::Absent),
        create(NOTES, "created", body.clone()),
        delete(&read("deleted").await),
        increment(NOTES, "counted", "read", 1),
        replace(&read("replaced").await, body),
    ];
    let versions = store.commit(operations).await.expect("the batch is accepted");
    let expected = [
        Version::NONE,
        read("created").await.version,
        Version::NONE,
        read("counted").await.version,
        read("replaced").await.version,
    ];
    assert_eq!(versions, expected);
}
