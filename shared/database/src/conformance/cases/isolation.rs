use serde_json::json;

use crate::conformance::Store;
use crate::conformance::store::{check, replace};
use crate::{Cause, Collection, Expect, Field};

const DOCTORS: &Collection = &Collection::new("doctors").fields(&[Field::boolean("on_call")]);

pub async fn write_skew_through_checks_of_a_version_fails(store: Store) {
    store.migrate(&[DOCTORS]).await;
    let alice = store.create(DOCTORS, "alice", json!({"on_call": true})).await;
    let bob = store.create(DOCTORS, "bob", json!({"on_call": true})).await;
    // Each leaves because the other one stays.
    let alice_leaves = vec![
        replace(&alice, json!({"on_call": false})),
        check(DOCTORS, "bob", Expect::Version(bob.version)),
    ];
    let bob_leaves = vec![
        check(DOCTORS, "alice", Expect::Version(alice.version)),
        replace(&bob, json!({"on_call": false})),
    ];
    store.commit(alice_leaves).await.expect("the first one leaves");
    assert_eq!(store.rejection(bob_leaves).await, (0, Cause::CheckFailed));
    assert_eq!(store.get(DOCTORS, "bob").await, Some(bob));
}
