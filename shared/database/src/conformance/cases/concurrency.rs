use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::conformance::Store;
use crate::conformance::words::{at_once, create, delete, increment, replace};
use crate::{Batch, Cause, Collection, Document, Entity, Error, Expect, Field, Operation, Unique};

const PEOPLE: &Collection = &Collection::new("people")
    .fields(&[Field::string("email"), Field::integer("visits")])
    .uniques(&[Unique::new("email", &["email"])])
    .counters(&["visits"]);

const RACERS: usize = 16;

fn person(email: &str) -> Value {
    json!({"email": email, "visits": 0})
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Person {
    id: String,
    email: String,
    visits: i64,
}

impl Entity for Person {
    const COLLECTION: &'static Collection = PEOPLE;

    fn id(&self) -> &str {
        &self.id
    }
}

/// Two instances of the same store.
async fn instances(store: &Store) -> [Store; 2] {
    [store.clone(), store.another().await]
}

/// Commits all batches concurrently, spread over the instances. Returns the cause of each rejection, `None` for
/// success.
async fn race(stores: &[Store; 2], batches: impl IntoIterator<Item = Vec<Operation>>) -> Vec<Option<Cause>> {
    at_once(batches.into_iter().enumerate().map(|(place, batch)| {
        let store = stores[place % 2].clone();
        async move {
            match store.commit_patiently(batch).await {
                Ok(_) => None,
                Err(error) => Some(error.rejection().expect("a batch fails only with a rejection").cause),
            }
        }
    }))
    .await
}

/// Expects that exactly one batch succeeded and all others were rejected with `cause`. Returns the index of the
/// winner.
fn only_winner(outcomes: &[Option<Cause>], cause: Cause) -> usize {
    let winners: Vec<usize> = (0..outcomes.len()).filter(|&place| outcomes[place].is_none()).collect();
    assert_eq!(winners.len(), 1, "exactly one must win: {outcomes:?}");
    assert!(
        outcomes.iter().flatten().all(|other| *other == cause),
        "the others must fail with {cause:?}: {outcomes:?}"
    );
    winners[0]
}

pub async fn one_of_many_creators_of_an_id_wins(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let stores = instances(&store).await;
    for round in 0..4 {
        let id = format!("id-{round}");
        let email = |racer: usize| format!("{round}-{racer}");
        let creators = (0..RACERS).map(|racer| vec![create(PEOPLE, &id, person(&email(racer)))]);
        let winner = only_winner(&race(&stores, creators).await, Cause::AlreadyExists);
        let stored = store.get(PEOPLE, &id).await.expect("one document was created");
        assert_eq!(stored.body["email"], json!(email(winner)));
        // No loser has left a guard behind.
        for racer in 0..RACERS {
            let holder = store.holder(PEOPLE, "email", email(racer)).await;
            assert_eq!(holder, (racer == winner).then(|| id.clone()));
        }
        let loser = (winner + 1) % RACERS;
        store.create(PEOPLE, &format!("later-{round}"), person(&email(loser))).await;
    }
}

pub async fn one_of_many_creators_of_a_unique_value_wins(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let stores = instances(&store).await;
    for round in 0..4 {
        let id = |racer: usize| format!("{round}-{racer}");
        let email = format!("e-{round}");
        let creators = (0..RACERS).map(|racer| vec![create(PEOPLE, &id(racer), person(&email))]);
        let winner = only_winner(&race(&stores, creators).await, Cause::UniqueTaken { attribute: "email" });
        for racer in 0..RACERS {
            assert_eq!(store.get(PEOPLE, &id(racer)).await.is_some(), racer == winner);
        }
        let held = store.lookup(PEOPLE, "email", &email).await.expect("one document holds the value");
        assert_eq!(held.key.id(), id(winner));
        // The guard is deleted with its owner.
        store.delete(&held).await;
        assert_eq!(store.holder(PEOPLE, "email", &email).await, None);
        store.create(PEOPLE, &format!("later-{round}"), person(&email)).await;
    }
}

/// As for forty people who register one address at once. A loser whose commit is reported as contended would have
/// to ask again.
pub async fn every_loser_of_a_race_for_a_unique_value_is_told_so(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let stores = instances(&store).await;
    for round in 0..2 {
        let email = format!("e-{round}");
        let outcomes = at_once((0..40).map(|racer| {
            let store = stores[racer % 2].clone();
            let (own, email) = (format!("own-{round}-{racer}"), email.clone());
            async move {
                let person = create(PEOPLE, &format!("{round}-{racer}"), person(&email));
                let also = create(PEOPLE, &own, json!({"visits": 0}));
                store.commit(vec![also, person]).await.map(drop)
            }
        }))
        .await;
        let taken = Cause::UniqueTaken { attribute: "email" };
        let lost = |outcome: &Result<(), Error>| {
            outcome.as_ref().is_err_and(|error| {
                error.rejection().is_some_and(|first| (first.operation, first.cause) == (1, taken))
            })
        };
        let winners = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let losers = outcomes.iter().filter(|outcome| lost(outcome)).count();
        assert_eq!((winners, losers), (1, 39), "round {round}: {outcomes:?}");
    }
}

pub async fn one_of_many_changes_to_a_unique_value_wins(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let stores = instances(&store).await;
    let mut people = Vec::new();
    for racer in 0..RACERS {
        people.push(store.create(PEOPLE, &racer.to_string(), person(&format!("own-{racer}"))).await);
    }
    let changes: Vec<_> = people.iter().map(|one| vec![replace(one, person("wanted"))]).collect();
    let winner = only_winner(&race(&stores, changes).await, Cause::UniqueTaken { attribute: "email" });
    for (racer, before) in people.iter().enumerate() {
        let own = store.holder(PEOPLE, "email", format!("own-{racer}")).await;
        if racer == winner {
            assert_eq!(own, None);
        } else {
            assert_eq!(own, Some(racer.to_string()));
            assert_eq!(store.get(PEOPLE, &racer.to_string()).await.as_ref(), Some(before));
        }
    }
    assert_eq!(store.holder(PEOPLE, "email", "wanted").await, Some(winner.to_string()));
}

/// If a guard is not tied to its owner's version, a change that fails leaves a guard behind.
pub async fn racing_changes_of_a_documents_unique_value_leave_one_guard(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let stores = instances(&store).await;
    let mut one = store.create(PEOPLE, "p", person("start")).await;
    for round in 0..6 {
        let email = |racer: usize| format!("{round}-{racer}");
        let before = one.body["email"].as_str().expect("an email is text").to_owned();
        let changes = (0..8).map(|racer| vec![replace(&one, person(&email(racer)))]);
        let winner = only_winner(&race(&stores, changes).await, Cause::VersionMismatch);
        one = store.get(PEOPLE, "p").await.expect("the document exists");
        assert_eq!(one.body["email"], json!(email(winner)));
        for racer in 0..8 {
            let holder = store.holder(PEOPLE, "email", email(racer)).await;
            assert_eq!(holder.as_deref(), (racer == winner).then_some("p"));
        }
        // All values except the winner's are free.
        let loser = (winner + 1) % 8;
        store.create(PEOPLE, &format!("old-{round}"), person(&before)).await;
        store.create(PEOPLE, &format!("lost-{round}"), person(&email(loser))).await;
        let taken = store.rejection(vec![create(PEOPLE, "x", person(&email(winner)))]).await;
        assert_eq!(taken, (0, Cause::UniqueTaken { attribute: "email" }));
    }
}

pub async fn one_of_a_hundred_changes_of_a_version_wins(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let stores = instances(&store).await;
    let before = store.create(PEOPLE, "p", person("p")).await;
    let patch = |n: usize| json!({"email": "p", "visits": n});
    let patches = (0..100).map(|n| vec![replace(&before, patch(n))]);
    let winner = only_winner(&race(&stores, patches).await, Cause::VersionMismatch);
    let after = store.get(PEOPLE, "p").await.expect("the document exists");
    assert_eq!(after.body["visits"], json!(winner));
}

pub async fn one_of_several_racing_deletes_and_changes_wins(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let stores = instances(&store).await;
    for round in 0..8 {
        let email = format!("e-{round}");
        let before = store.create(PEOPLE, "p", person(&email)).await;
        let racers = [
            vec![delete(&before)],
            vec![replace(&before, person(&format!("new-{round}")))],
            vec![delete(&before)],
            vec![replace(&before, json!({"visits": 1}))],
        ];
        let outcomes = race(&stores, racers).await;
        let winner = outcomes.iter().position(Option::is_none).expect("one succeeds");
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_none()).count(), 1, "{outcomes:?}");
        // After a delete the others find no document, after a change they find another version.
        let cause = if winner % 2 == 0 { Cause::NotFound } else { Cause::VersionMismatch };
        only_winner(&outcomes, cause);
        assert_eq!(store.holder(PEOPLE, "email", &email).await, None);
        if let Some(after) = store.get(PEOPLE, "p").await {
            store.delete(&after).await;
        }
        store.create(PEOPLE, &email, person(&email)).await;
    }
}

pub async fn no_update_of_one_document_is_lost(store: Store) {
    const WRITERS: usize = 8;
    const TURNS: usize = 6;
    store.migrate(&[PEOPLE]).await;
    store.create(PEOPLE, "p", json!({"id": "p", "email": "p", "visits": 0})).await;
    let stores = instances(&store).await;
    at_once((0..WRITERS).map(|writer| {
        let store = stores[writer % 2].clone();
        async move {
            for _ in 0..TURNS {
                loop {
                    let people = store.db.collection::<Person>();
                    match people.update("p", |person| person.visits += 1).await {
                        Ok(updated) => break assert!(updated.is_some(), "the document is there"),
                        Err(error) => assert!(error.is_retryable(), "an update failed: {error}"),
                    }
                }
            }
        }
    }))
    .await;
    let after = store.get(PEOPLE, "p").await.expect("the document exists");
    assert_eq!(after.body["visits"], json!(WRITERS * TURNS));
}

/// A backend that does not take locks in a fixed order gets a deadlock here.
pub async fn no_batch_over_the_same_documents_in_different_orders_is_lost(store: Store) {
    const WRITERS: usize = 12;
    const TURNS: usize = 5;
    store.migrate(&[PEOPLE]).await;
    let ids = ["a", "b", "c", "d", "e"];
    for id in ids {
        store.create(PEOPLE, id, person(id)).await;
    }
    let stores = instances(&store).await;
    at_once((0..WRITERS).map(|writer| {
        let store = stores[writer % 2].clone();
        async move {
            for turn in 0..TURNS {
                let place = |n: usize| (n * (1 + writer % 4) + writer + turn) % 5;
                let batch = (0..5).map(|n| increment(PEOPLE, ids[place(n)], "visits", 1)).collect();
                store.commit_patiently(batch).await.expect("the batch is applied");
            }
        }
    }))
    .await;
    for id in ids {
        let visits = store.get(PEOPLE, id).await.map(|document| document.body["visits"].clone());
        assert_eq!(visits, Some(json!(WRITERS * TURNS)), "{id}");
    }
}

/// Several tasks swap the values of three documents. In the end each value must still be held by exactly one
/// document.
pub async fn swapped_values_are_never_lost(store: Store) {
    store.migrate(&[PEOPLE]).await;
    for id in ["a", "b", "c"] {
        store.create(PEOPLE, id, person(id)).await;
    }
    let stores = instances(&store).await;
    let pairs = [("a", "b"), ("b", "c"), ("c", "a"), ("a", "c")];
    at_once(pairs.into_iter().enumerate().map(|(place, (first, second))| {
        let store = stores[place % 2].clone();
        async move {
            for _ in 0..6 {
                swap(&store, first, second).await;
            }
        }
    }))
    .await;
    let mut emails = Vec::new();
    for id in ["a", "b", "c"] {
        let document = store.get(PEOPLE, id).await.expect("the document exists");
        let email = document.body["email"].as_str().expect("an email is text").to_owned();
        assert_eq!(store.holder(PEOPLE, "email", &email).await.as_deref(), Some(id));
        emails.push(email);
    }
    emails.sort();
    assert_eq!(emails, ["a", "b", "c"]);
}

async fn swap(store: &Store, first: &str, second: &str) {
    let email = |document: &Document| document.body["email"].clone();
    loop {
        let a = store.get(PEOPLE, first).await.expect("the document exists");
        let b = store.get(PEOPLE, second).await.expect("the document exists");
        if email(&a) == email(&b) {
            continue; // another swap ran between the two reads
        }
        let to = |document: &Document| json!({"email": email(document), "visits": 0});
        match store.commit_patiently(vec![replace(&a, to(&b)), replace(&b, to(&a))]).await {
            Ok(_) => return,
            Err(error) => {
                // Another swap was faster and has changed a document, or has moved a value to the third document.
                let cause = error.rejection().map(|rejection| rejection.cause);
                let moved = matches!(cause, Some(Cause::VersionMismatch | Cause::UniqueTaken { .. }));
                assert!(moved, "a swap failed: {error}");
            }
        }
    }
}

pub async fn a_cancelled_commit_is_applied_completely_or_not_at_all(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let stores = instances(&store).await;
    for round in 0..24_u64 {
        let ids = ["a", "b", "c"].map(|name| format!("{name}-{round}"));
        let batch = ids.iter().map(|id| create(PEOPLE, id, person(id))).collect();
        let batch = Batch::new(batch, store.ambient()).expect("the batch is valid");
        let patience = Duration::from_micros(round * round * 20);
        // The commit is dropped while it runs, as when a client disconnects.
        drop(tokio::time::timeout(patience, stores[0].backend().commit(&batch)).await);
        // A batch on the same documents runs before or after the commit, so it determines the outcome.
        let absent = ids.iter().map(|id| check(id, Expect::Absent)).collect();
        let present = ids.iter().map(|id| check(id, Expect::Exists)).collect();
        let none = stores[1].commit_patiently(absent).await.is_ok();
        let all = stores[1].commit_patiently(present).await.is_ok();
        assert!(none || all, "round {round}: only some of the documents exist");
        // The values must agree with the documents, also if the commit is still running.
        for id in &ids {
            let agree = || async {
                let holder = store.holder(PEOPLE, "email", id).await;
                holder.is_some() == store.get(PEOPLE, id).await.is_some()
            };
            store.eventually(true, agree).await;
        }
    }
}

fn check(id: &str, expect: Expect) -> Operation {
    crate::conformance::words::check(PEOPLE, id, expect)
}

pub async fn a_value_is_always_held_by_one_document_while_it_moves(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let mut holder = store.create(PEOPLE, "a-0", person("wanted")).await;
    let other = store.another().await;
    let reader = tokio::spawn(async move {
        let mut last = 0;
        while last < 20 {
            let held = other.lookup(PEOPLE, "email", "wanted").await;
            let held = held.expect("the value moves atomically, so it is always held");
            let place: usize = held.key.id()[2..].parse().expect("the id ends in a number");
            assert!(place >= last, "a later read must not return an older state");
            last = place;
        }
    });
    for place in 1..=20 {
        let next = format!("a-{place}");
        let moved = vec![create(PEOPLE, &next, person("wanted")), delete(&holder)];
        store.commit_patiently(moved).await.expect("the value moves");
        holder = store.get(PEOPLE, &next).await.expect("the document was created");
    }
    reader.await.expect("the reader finds a holder every time");
}

pub async fn many_handles_see_the_same_state(store: Store) {
    store.migrate(&[PEOPLE]).await;
    let mut stores = Vec::new();
    for _ in 0..5 {
        stores.push(store.another().await);
    }
    let mut before = store.create(PEOPLE, "p", person("0")).await;
    for (round, writer) in stores.iter().enumerate() {
        let next = person(&format!("{}", round + 1));
        let versions = writer.commit(vec![replace(&before, next)]).await.expect("the version is current");
        for reader in &stores {
            let found = reader.get(PEOPLE, "p").await.expect("the document exists");
            assert_eq!(found.version, versions[0]);
            let stale = reader.commit(vec![delete(&before)]).await;
            assert!(matches!(stale, Err(Error::Rejected(_))), "{stale:?}");
        }
        before = store.get(PEOPLE, "p").await.expect("the document exists");
    }
}
