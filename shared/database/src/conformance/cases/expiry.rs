use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use switchyard_ambient::Timestamp;

use crate::conformance::Store;
use crate::conformance::words::{
    check, create, create_until, delete, ids, increment, key, pages_of, replace, replace_until,
};
use crate::{
    Cause, Collection, Consistency, Document, Entity, Error, Expect, Field, Index, Query, Scan, Search,
    Unique,
};

const SESSIONS: &Collection = &Collection::new("sessions")
    .fields(&[Field::string("user"), Field::string("token"), Field::string("device"), Field::integer("uses")])
    .indexes(&[Index::new("of_user").partition(&["user"]), Index::new("by_token").sort(&["token"])])
    .uniques(&[Unique::new("token", &["token"])])
    .search(&["device"])
    .counters(&["uses"])
    .expiring();

const LASTING: &Collection = &Collection::new("lasting");

const MICROSECOND: Duration = Duration::from_micros(1);
const MINUTE: Duration = Duration::from_secs(60);

fn session(token: &str) -> Value {
    json!({"user": "u", "token": token, "device": format!("phone {token}"), "uses": 0})
}

/// Stores a session that expires in a minute.
async fn short_session(store: &Store, id: &str) -> Document {
    store.create_until(SESSIONS, id, session(id), store.now() + MINUTE).await
}

fn of_user() -> Query {
    Query::new(SESSIONS, "of_user").partition(["u"])
}

fn by_token() -> Query {
    Query::new(SESSIONS, "by_token")
}

fn phones() -> Search {
    Search::new(SESSIONS, "phone")
}

/// Expects that queries, searches and scans return these documents.
async fn expect_listed(store: &Store, names: &[&str]) {
    store.expect_query(&of_user(), names).await;
    store.expect_query(&by_token(), names).await;
    store.expect_search(&phones(), names).await;
    let scanned = || async {
        let mut scanned = ids(&store.scan_pages(&Scan::new(SESSIONS)).await.concat());
        scanned.sort();
        scanned
    };
    store.eventually(names.iter().map(|&name| name.to_owned()).collect(), scanned).await;
}

async fn holder(store: &Store, token: &str) -> Option<String> {
    store.holder(SESSIONS, "token", token).await
}

pub async fn a_document_exists_until_the_microsecond_of_its_expiry(store: Store) {
    store.migrate(&[SESSIONS]).await;
    let written = short_session(&store, "s").await;
    assert_eq!(written.expires_at, Some(store.now() + MINUTE));
    store.clock.advance(MINUTE - MICROSECOND);
    assert_eq!(store.get(SESSIONS, "s").await, Some(written.clone()));
    assert_eq!(store.lookup(SESSIONS, "token", "s").await, Some(written.clone()));
    expect_listed(&store, &["s"]).await;
    store
        .commit(vec![check(SESSIONS, "s", Expect::Version(written.version))])
        .await
        .expect("the document exists");

    store.clock.advance(MICROSECOND);
    assert_eq!(store.get(SESSIONS, "s").await, None);
    assert_eq!(
        store.backend().get_many(&[key(SESSIONS, "s")], Consistency::Linearizable).await,
        Ok(vec![None])
    );
    assert_eq!(store.lookup(SESSIONS, "token", "s").await, None);
    expect_listed(&store, &[]).await;
    store.commit(vec![check(SESSIONS, "s", Expect::Absent)]).await.expect("the document is absent");
}

pub async fn the_expiry_time_is_kept_to_the_microsecond(store: Store) {
    store.migrate(&[SESSIONS]).await;
    for (id, later) in [("a", 1), ("b", 999_999), ("c", 1_000_001), ("d", 4_000_000_000_000_000)] {
        let expires_at = store.now() + Duration::from_micros(later);
        let written = store.create_until(SESSIONS, id, session(id), expires_at).await;
        assert_eq!(written.expires_at, Some(expires_at));
    }
    let far = store.create_until(SESSIONS, "e", session("e"), Timestamp::from_micros(i64::MAX)).await;
    assert_eq!(far.expires_at, Some(Timestamp::from_micros(i64::MAX)));
    expect_listed(&store, &["a", "b", "c", "d", "e"]).await;
}

pub async fn a_document_with_a_past_expiry_time_is_absent_from_the_start(store: Store) {
    store.migrate(&[SESSIONS]).await;
    for (id, expires_at) in
        [("a", store.now()), ("b", store.now() - MINUTE), ("c", Timestamp::from_micros(-1))]
    {
        store
            .commit(vec![create_until(SESSIONS, id, session(id), expires_at)])
            .await
            .expect("the document is created");
        assert_eq!(store.get(SESSIONS, id).await, None);
        assert_eq!(holder(&store, id).await, None);
    }
    store.create(SESSIONS, "z", session("z")).await;
    expect_listed(&store, &["z"]).await;
}

pub async fn an_expired_document_is_absent_for_every_operation(store: Store) {
    store.migrate(&[SESSIONS]).await;
    let expired = short_session(&store, "s").await;
    store.clock.advance(MINUTE);
    let refused = [
        (check(SESSIONS, "s", Expect::Exists), Cause::CheckFailed),
        (check(SESSIONS, "s", Expect::Version(expired.version)), Cause::CheckFailed),
        (replace(&expired, session("s")), Cause::NotFound),
        (replace_until(&expired, session("s"), None), Cause::NotFound),
        (delete(&expired), Cause::NotFound),
        (increment(SESSIONS, "s", "uses", 1), Cause::NotFound),
    ];
    for (operation, cause) in refused {
        assert_eq!(store.rejection(vec![operation.clone()]).await, (0, cause), "{operation:?}");
        let in_batch = vec![create(SESSIONS, "beside", session("beside")), operation.clone()];
        assert_eq!(store.rejection(in_batch).await, (1, cause), "{operation:?}");
    }
    let found = store.db.transact(|tx| async move { tx.get::<Session>("s").await }).await;
    assert!(matches!(found, Ok(None)), "{found:?}");
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Session {
    id: String,
}

impl Entity for Session {
    const COLLECTION: &'static Collection = SESSIONS;

    fn id(&self) -> &str {
        &self.id
    }
}

pub async fn a_document_is_created_over_an_expired_one(store: Store) {
    store.migrate(&[SESSIONS]).await;
    let old = short_session(&store, "s").await;
    store.clock.advance(MINUTE);
    let body = json!({"user": "v", "token": "new", "device": "tablet", "uses": 0});
    let new = store.create(SESSIONS, "s", body).await;
    assert_ne!(new.version, old.version);
    assert_eq!(new.expires_at, None);
    // Nothing of the old document is left: neither its unique value, nor its index entries, nor its terms.
    assert_eq!(holder(&store, "s").await, None);
    assert_eq!(holder(&store, "new").await.as_deref(), Some("s"));
    store.expect_query(&of_user().partition(["v"]), &["s"]).await;
    store.expect_query(&of_user(), &[]).await;
    store.expect_query(&by_token(), &["s"]).await;
    store.expect_search(&Search::new(SESSIONS, "tablet"), &["s"]).await;
    store.expect_search(&phones(), &[]).await;
    store.create(SESSIONS, "t", session("s")).await;
}

pub async fn a_document_is_created_over_an_expired_one_with_its_own_values(store: Store) {
    store.migrate(&[SESSIONS]).await;
    for round in 0..3 {
        let session = short_session(&store, "s").await;
        assert_eq!(store.lookup(SESSIONS, "token", "s").await, Some(session), "round {round}");
        expect_listed(&store, &["s"]).await;
        store.clock.advance(MINUTE);
    }
    expect_listed(&store, &[]).await;
}

pub async fn expiry_frees_a_unique_value(store: Store) {
    store.migrate(&[SESSIONS]).await;
    short_session(&store, "s").await;
    let claim = create(SESSIONS, "t", session("s"));
    let taken = Cause::UniqueTaken { attribute: "token" };
    store.clock.advance(MINUTE - MICROSECOND);
    assert_eq!(store.rejection(vec![claim.clone()]).await, (0, taken));
    store.clock.advance(MICROSECOND);
    store.commit(vec![claim]).await.expect("the value is free");
    assert_eq!(holder(&store, "s").await.as_deref(), Some("t"));
    // The expired document can be created again, but only with another value.
    assert_eq!(store.rejection(vec![create(SESSIONS, "s", session("s"))]).await, (0, taken));
    store.create(SESSIONS, "s", session("other")).await;
    // A sweep does not release the value either.
    store.backend().sweep_expired(10).await.expect("expired documents are swept");
    assert_eq!(holder(&store, "s").await.as_deref(), Some("t"));
    assert_eq!(store.rejection(vec![create(SESSIONS, "x", session("s"))]).await, (0, taken));
}

pub async fn a_replace_can_postpone_expiry(store: Store) {
    store.migrate(&[SESSIONS]).await;
    let s = short_session(&store, "s").await;
    let later = store.now() + 3 * MINUTE;
    store.commit(vec![replace_until(&s, session("s"), later)]).await.expect("the document exists");
    store.clock.advance(MINUTE);
    // The guard, index entries and terms expire later too.
    let s = store.get(SESSIONS, "s").await.expect("the document exists");
    assert_eq!(s.expires_at, Some(later));
    assert_eq!(store.lookup(SESSIONS, "token", "s").await, Some(s));
    let taken = Cause::UniqueTaken { attribute: "token" };
    assert_eq!(store.rejection(vec![create(SESSIONS, "t", session("s"))]).await, (0, taken));
    expect_listed(&store, &["s"]).await;
    assert_eq!(store.backend().sweep_expired(10).await, Ok(0));
    store.clock.advance(2 * MINUTE);
    expect_listed(&store, &[]).await;
    store.create(SESSIONS, "t", session("s")).await;
}

pub async fn a_replace_can_bring_expiry_forward(store: Store) {
    store.migrate(&[SESSIONS]).await;
    for (id, before) in [("a", None), ("b", Some(store.now() + 5 * MINUTE))] {
        let document = store.create_until(SESSIONS, id, session(id), before).await;
        let sooner = replace_until(&document, session(id), store.now() + MINUTE);
        store.commit(vec![sooner]).await.expect("the document exists");
    }
    expect_listed(&store, &["a", "b"]).await;
    store.clock.advance(MINUTE);
    expect_listed(&store, &[]).await;
    for (id, token) in [("c", "a"), ("d", "b")] {
        assert_eq!(holder(&store, token).await, None);
        store.create(SESSIONS, id, session(token)).await;
    }
}

pub async fn a_replace_can_remove_the_expiry_time(store: Store) {
    store.migrate(&[SESSIONS]).await;
    let s = short_session(&store, "s").await;
    store.commit(vec![replace_until(&s, session("s"), None)]).await.expect("the document exists");
    store.clock.advance(100 * MINUTE);
    assert_eq!(store.backend().sweep_expired(10).await, Ok(0));
    let s = store.get(SESSIONS, "s").await.expect("the document still exists");
    assert_eq!(s.expires_at, None);
    assert_eq!(store.lookup(SESSIONS, "token", "s").await, Some(s));
    expect_listed(&store, &["s"]).await;
    let taken = Cause::UniqueTaken { attribute: "token" };
    assert_eq!(store.rejection(vec![create(SESSIONS, "t", session("s"))]).await, (0, taken));
}

pub async fn an_increment_does_not_change_expiry(store: Store) {
    store.migrate(&[SESSIONS]).await;
    let before = short_session(&store, "s").await;
    store.commit(vec![increment(SESSIONS, "s", "uses", 1)]).await.expect("the document exists");
    let after = store.get(SESSIONS, "s").await.expect("the document exists");
    assert_eq!((&after.body["uses"], after.expires_at), (&json!(1), before.expires_at));
    store.clock.advance(MINUTE);
    assert_eq!(store.get(SESSIONS, "s").await, None);
    assert_eq!(holder(&store, "s").await, None);
}

pub async fn pages_are_full_with_expired_documents_in_between(store: Store) {
    store.migrate(&[SESSIONS]).await;
    let names: Vec<String> = (0..24).map(|n| format!("{n:02}")).collect();
    let soon = store.now() + MINUTE;
    let created = names.iter().enumerate().map(|(n, name)| {
        let expires_at = (n % 3 != 0).then_some(soon);
        create_until(SESSIONS, name, session(name), expires_at)
    });
    for operation in created {
        store.commit(vec![operation]).await.expect("the document is created");
    }
    store.clock.advance(MINUTE);
    let pages: [&[&str]; 3] = [&["00", "03", "06"], &["09", "12", "15"], &["18", "21"]];
    for query in [of_user().limit(3), by_token().limit(3)] {
        store.eventually(pages_of(&pages), || store.query_pages(&query)).await;
    }
    let search = phones().limit(3);
    store.eventually(pages_of(&pages), || store.search_pages(&search)).await;
    let scan = Scan::new(SESSIONS).limit(3);
    let sizes = || async { store.scan_pages(&scan).await.iter().map(Vec::len).collect::<Vec<_>>() };
    store.eventually(vec![3, 3, 2], sizes).await;
}

pub async fn a_sweep_removes_expired_documents_up_to_its_limit(store: Store) {
    store.migrate(&[SESSIONS, LASTING]).await;
    for id in ["a", "b", "c", "d", "e"] {
        short_session(&store, id).await;
    }
    let later = store.create_until(SESSIONS, "later", session("later"), store.now() + 2 * MINUTE).await;
    let stays = store.create(SESSIONS, "stays", session("stays")).await;
    let lasts = store.create(LASTING, "lasts", json!({})).await;
    let sweep = async |at_most| store.backend().sweep_expired(at_most).await;
    assert_eq!(sweep(10).await, Ok(0));
    store.clock.advance(MINUTE);
    // A backend may find expired documents through an index, which may lag.
    let first_two = || async { sweep(2).await.expect("expired documents are swept") };
    store.eventually(2, first_two).await;
    assert_eq!(sweep(0).await, Ok(0));
    store.eventually(3, || async { sweep(10).await.expect("expired documents are swept") }).await;
    assert_eq!(sweep(10).await, Ok(0));
    assert_eq!(store.get(SESSIONS, "later").await, Some(later));
    assert_eq!(store.get(SESSIONS, "stays").await, Some(stays));
    assert_eq!(store.get(LASTING, "lasts").await, Some(lasts));
    expect_listed(&store, &["later", "stays"]).await;
}

/// After a sweep nothing is left, so nothing reappears even if the clock is set back.
pub async fn a_sweep_removes_guards_entries_and_terms_too(store: Store) {
    store.migrate(&[SESSIONS]).await;
    let start = store.now();
    for id in ["a", "b", "c"] {
        short_session(&store, id).await;
    }
    expect_listed(&store, &["a", "b", "c"]).await;
    store.clock.advance(MINUTE);
    assert_eq!(store.backend().sweep_expired(10).await, Ok(3));
    store.clock.set(start);
    for id in ["a", "b", "c"] {
        assert_eq!(store.get(SESSIONS, id).await, None);
        assert_eq!(holder(&store, id).await, None);
    }
    expect_listed(&store, &[]).await;
    // The values are free although on this clock their holders would not have expired yet.
    for (id, token) in [("d", "a"), ("e", "b"), ("f", "c")] {
        store.create(SESSIONS, id, session(token)).await;
    }
    expect_listed(&store, &["d", "e", "f"]).await;
}

pub async fn a_recreated_document_is_not_swept(store: Store) {
    store.migrate(&[SESSIONS]).await;
    for id in ["a", "b", "c"] {
        short_session(&store, id).await;
    }
    store.clock.advance(MINUTE);
    let lasting = store.create(SESSIONS, "a", session("a")).await;
    let until_later = short_session(&store, "b").await;
    assert_eq!(store.backend().sweep_expired(10).await, Ok(1));
    assert_eq!(store.get(SESSIONS, "a").await, Some(lasting.clone()));
    assert_eq!(store.lookup(SESSIONS, "token", "a").await, Some(lasting));
    assert_eq!(store.get(SESSIONS, "b").await, Some(until_later.clone()));
    assert_eq!(store.lookup(SESSIONS, "token", "b").await, Some(until_later));
    expect_listed(&store, &["a", "b"]).await;
    assert_eq!(store.backend().sweep_expired(10).await, Ok(0));
}

/// A Lambda function that only sweeps does not know the declared collections.
pub async fn an_instance_that_never_migrated_sweeps_too(store: Store) {
    store.migrate(&[SESSIONS]).await;
    short_session(&store, "s").await;
    store.clock.advance(MINUTE);
    let other = store.another().await;
    store
        .eventually(1, || async { other.backend().sweep_expired(10).await.expect("the sweep succeeds") })
        .await;
    assert_eq!(store.backend().sweep_expired(10).await, Ok(0));
}

pub async fn a_collection_without_expiry_refuses_an_expiry_time(store: Store) {
    store.migrate(&[LASTING]).await;
    let refusal = Err(Error::Invalid("the collection `lasting` is not declared as expiring".to_owned()));
    let outcome = store.commit(vec![create_until(LASTING, "l", json!({}), store.now() + MINUTE)]).await;
    assert_eq!(outcome, refusal);
    let document = store.create(LASTING, "l", json!({})).await;
    let outcome = store.commit(vec![replace_until(&document, json!({}), store.now() + MINUTE)]).await;
    assert_eq!(outcome, refusal);
    assert_eq!(store.get(LASTING, "l").await, Some(document));
}
