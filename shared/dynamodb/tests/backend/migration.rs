//! Tests of migrations: what they create, that they can be interrupted, and that documents may be written
//! meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_dynamodb::types::{BillingMode, TimeToLiveStatus};
use serde_json::json;
use switchyard_database::{
    Cause, Collection, Database as _, Error, Field, Index, Operation, Query, Result, Scan, Schema, Search,
    Unique, UniqueKey,
};
use switchyard_dynamodb::tables;
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

use crate::endpoint::Step;
use crate::failures::{broken, cancelled, refusal, throttled};
use crate::stage::{Item, Stage, commit, create, on_a_stage, replace};

const FIELDS: &[Field] = &[Field::string("email"), Field::string("name"), Field::integer("age")];
const PLAIN: &Collection = &Collection::new("people").fields(FIELDS);
const FULL: &Collection = &Collection::new("people")
    .fields(FIELDS)
    .indexes(&[Index::new("by_age").partition(&["name"]).sort(&["age"]), Index::new("all").sort(&["age"])])
    .uniques(&[Unique::new("email", &["email"])])
    .search(&["name"]);
/// Like [`FULL`], with another sort order.
const OTHER: &Collection = &Collection::new("people")
    .fields(FIELDS)
    .indexes(&[Index::new("by_age").partition(&["name"]).sort(&["email"]), Index::new("all").sort(&["age"])])
    .uniques(&[Unique::new("email", &["email"])])
    .search(&["name"]);
const EXPIRING: &Collection = &Collection::new("codes").expiring();

async fn fill(stage: &Stage, collection: &'static Collection, count: usize) {
    let operations: Vec<_> = (0..count)
        .map(|n| {
            create(
                collection,
                &format!("p{n:03}"),
                json!({"email": format!("e{n}"), "name": "word", "age": n}),
            )
        })
        .collect();
    for chunk in operations.chunks(25) {
        commit(&stage.direct, chunk.to_vec()).await.unwrap();
    }
}

/// Begins a migration that is stopped after `pages` pages of 200 documents each. A migration goes through all
/// pages once to add what is new, and then once more to remove what was declared before.
async fn begin(stage: &Stage, collection: &'static Collection, pages: usize) {
    let refused = Step::Answer(400, refusal("AccessDeniedException"));
    stage.endpoint.script("Scan", std::iter::repeat_with(|| Step::Pass).take(pages).chain([refused]));
    let stopped = stage.patient.migrate(&Schema::new([collection]).unwrap()).await;
    assert_eq!(stopped, Err(Error::Internal("DynamoDB rejected the credentials: scripted".to_owned())));
}

/// Asserts that each of `count` people has a guard for the address and a term for the name, and that there are no
/// other guards and terms.
async fn expect_address_and_name(stage: &Stage, collection: &'static Collection, count: usize) {
    for n in 0..count {
        let email = format!("e{n}");
        let unique = UniqueKey::new(collection, "email", [email.as_str()]).unwrap();
        let holder = stage.direct.lookup(&unique).await.unwrap();
        let holder = holder.as_ref().map(|document| document.key.id());
        assert_eq!(holder, Some(format!("p{n:03}").as_str()), "{email}");
    }
    let page = stage.direct.search(&Search::new(collection, "word").limit(1000)).await.unwrap();
    assert_eq!(page.documents.len(), count);
    // The additional item is the record of the migration.
    assert_eq!(stage.items("system").await.len(), 2 * count + 1);
    let again = commit(&stage.direct, vec![create(collection, "again", json!({"email": "e0"}))]).await;
    let Err(Error::Rejected(rejections)) = again else { panic!("the address is taken") };
    assert_eq!(rejections[0].cause, Cause::UniqueTaken { attribute: "email" });
}

/// Returns the ids in an index, in its order.
async fn ids_of(stage: &Stage, query: Query) -> Vec<String> {
    let page = stage.direct.query(&query.limit(1000)).await.unwrap();
    page.documents.iter().map(|document| document.key.id().to_owned()).collect()
}

/// Starts a migration to `collection` whose requests can be held up.
fn spawn_migration(stage: &Stage, collection: &'static Collection) -> JoinHandle<Result<()>> {
    let db = stage.patient.clone();
    tokio::spawn(async move { db.migrate(&Schema::new([collection]).unwrap()).await })
}

/// Returns, for each scan so far, whether it continued after an earlier page.
fn resumptions(stage: &Stage) -> Vec<bool> {
    let scans = stage.endpoint.requests("Scan");
    scans.iter().map(|scan| scan.get("ExclusiveStartKey").is_some()).collect()
}

/// Deletes the migration record, as if nothing had been migrated yet.
async fn forget_layout(stage: &Stage) {
    let key = stage.items("system").await.remove(0);
    let table = format!("{}-system", stage.tables.prefix);
    let delete = stage.direct.client().delete_item().table_name(table);
    let delete = delete.key("partition", key["partition"].clone()).key("position", key["position"].clone());
    delete.send().await.unwrap();
}

fn index_attributes(item: &Item) -> usize {
    item.keys().filter(|name| name.ends_with("_partition") || name.ends_with("_position")).count()
}

on_a_stage! {
    Stage::empty;

    async fn table_changes_that_fail_or_lose_their_reply_are_sent_again(stage) {
        stage.endpoint.script("CreateTable", [broken(), Step::LoseReply, Step::Cut, broken()]);
        stage.endpoint.script("UpdateTimeToLive", [Step::LoseReply, broken()]);
        stage.db.migrate(&Schema::new([PLAIN, EXPIRING]).unwrap()).await.unwrap();
        // The tables of people, of codes and the system table; the last two have an expiry.
        assert_eq!(stage.endpoint.requests("CreateTable").len(), 3 + 4);
        assert_eq!(stage.endpoint.requests("UpdateTimeToLive").len(), 2 + 2);
        stage.endpoint.script("UpdateTable", [broken(), Step::LoseReply, Step::Cut]);
        stage.db.migrate(&Schema::new([FULL, EXPIRING]).unwrap()).await.unwrap();
        fill(&stage, FULL, 3).await;
        let page = stage.db.query(&Query::new(FULL, "all")).await.unwrap();
        let ids: Vec<_> = page.documents.iter().map(|document| document.key.id()).collect();
        assert_eq!(ids, ["p000", "p001", "p002"]);
    }

    async fn a_missing_table_is_created_although_the_first_requests_for_it_failed(stage) {
        stage.endpoint.script("DescribeTable", [broken(), broken()]);
        stage.db.migrate(&Schema::new([PLAIN]).unwrap()).await.unwrap();
        assert_eq!(stage.endpoint.requests("CreateTable").len(), 2);
    }

    async fn a_table_that_is_being_deleted_is_created_again_once_it_is_gone(stage) {
        let deleting = || Step::Answer(200, json!({"Table": {"TableStatus": "DELETING"}}));
        stage.endpoint.script("DescribeTable", [deleting(), deleting()]);
        stage.db.migrate(&Schema::new([PLAIN]).unwrap()).await.unwrap();
        assert_eq!(stage.endpoint.requests("CreateTable").len(), 2);
        // The table is also gone when undeclared indexes are looked for. Each of the two tables is described once
        // before the collections are filled and once afterwards.
        let missing = Step::Answer(400, refusal("ResourceNotFoundException"));
        stage.endpoint.script("DescribeTable", [Step::Pass, Step::Pass, missing, Step::Pass]);
        stage.db.migrate(&Schema::new([PLAIN]).unwrap()).await.unwrap();
        assert_eq!(stage.endpoint.requests("CreateTable").len(), 2);
    }

    async fn a_migration_creates_the_defined_tables(stage) {
        let schema = Schema::new([FULL, EXPIRING]).unwrap();
        stage.direct.migrate(&schema).await.unwrap();
        let client = stage.direct.client();
        for definition in tables(&schema, &stage.tables.prefix) {
            let described = client.describe_table().table_name(&definition.name).send().await.unwrap().table.unwrap();
            let billing = described.billing_mode_summary.as_ref().and_then(|summary| summary.billing_mode.clone());
            assert_eq!(billing, Some(BillingMode::PayPerRequest), "{}", definition.name);
            let mut names: Vec<_> = described.global_secondary_indexes().iter().map(|index| index.index_name.clone().unwrap()).collect();
            names.sort();
            let mut expected: Vec<_> = definition.indexes.iter().map(|index| index.name.clone()).collect();
            expected.sort();
            assert_eq!(names, expected);
            let ttl = client.describe_time_to_live().table_name(&definition.name).send().await.unwrap();
            let ttl = ttl.time_to_live_description.unwrap();
            let status = if definition.time_to_live.is_some() { TimeToLiveStatus::Enabled } else { TimeToLiveStatus::Disabled };
            assert_eq!(ttl.time_to_live_status, Some(status), "{}", definition.name);
            assert_eq!(ttl.attribute_name.as_deref(), definition.time_to_live);
        }
    }

    async fn an_interrupted_migration_continues_where_it_stopped(stage) {
        stage.migrate(&[PLAIN]).await.unwrap();
        fill(&stage, PLAIN, 450).await;
        stage.endpoint.script("TransactWriteItems", std::iter::repeat_with(|| Step::Pass).take(300));
        stage.endpoint.script("TransactWriteItems", [Step::Answer(400, refusal("AccessDeniedException"))]);
        let schema = Schema::new([FULL]).unwrap();
        let stopped = stage.db.migrate(&schema).await;
        assert_eq!(stopped, Err(Error::Internal("DynamoDB rejected the credentials: scripted".to_owned())));
        stage.db.migrate(&schema).await.unwrap();
        // Two pages, the interrupted second one again, and the last one. There was nothing to remove.
        assert_eq!(resumptions(&stage), [false, true, true, true]);
        assert_eq!(stage.items("people").await.iter().filter(|item| index_attributes(item) == 4).count(), 450);
        let page = stage.db.query(&Query::new(FULL, "by_age").partition(["word"]).limit(1000)).await.unwrap();
        assert_eq!(page.documents.len(), 450);
        let page = stage.db.search(&Search::new(FULL, "word").limit(1000)).await.unwrap();
        assert_eq!(page.documents.len(), 450);
        // A further migration has nothing to do.
        stage.db.migrate(&schema).await.unwrap();
        assert_eq!(stage.endpoint.requests("Scan").len(), 4);
    }

    /// Not even from the documents that come before the refused one.
    async fn a_refused_migration_removes_nothing_that_was_declared_before(stage) {
        const NAMED: &Collection = &Collection::new("people").fields(FIELDS).uniques(&[Unique::new("name", &["name"])]);
        stage.migrate(&[FULL]).await.unwrap();
        // All documents have the same name.
        fill(&stage, FULL, 30).await;
        let refused = stage.migrate(&[NAMED]).await;
        assert!(matches!(&refused, Err(Error::Invalid(reason)) if reason.starts_with("`name` of `people`")), "{refused:?}");
        for n in 0..30 {
            let unique = UniqueKey::new(FULL, "email", [format!("e{n}").as_str()]).unwrap();
            let holder = stage.direct.lookup(&unique).await.unwrap();
            assert_eq!(holder.map(|document| document.key.id().to_owned()), Some(format!("p{n:03}")));
        }
        let expected: Vec<_> = (0..30).map(|n| format!("p{n:03}")).collect();
        assert_eq!(ids_of(&stage, Query::new(FULL, "by_age").partition(["word"])).await, expected);
        let found = stage.direct.search(&Search::new(FULL, "word").limit(1000)).await.unwrap();
        assert_eq!(found.documents.len(), 30);
        let twice = commit(&stage.direct, vec![create(FULL, "again", json!({"email": "e7"}))]).await;
        assert_eq!(twice.unwrap_err().taken_attribute(), Some("email"));
    }

    async fn after_a_refusal_a_migration_includes_documents_written_meanwhile(stage) {
        const NAMED: &Collection = &Collection::new("people").fields(FIELDS).uniques(&[Unique::new("name", &["name"])]);
        stage.migrate(&[PLAIN]).await.unwrap();
        fill(&stage, PLAIN, 210).await;
        let in_order: Vec<String> = stage.items("people").await.iter().map(|item| item["id"].as_s().unwrap().clone()).collect();
        let rename = async |place: usize, name: String| {
            let stored = stage.stored(PLAIN, &in_order[place]).await.unwrap();
            commit(&stage.direct, vec![replace(&stored, json!({"name": name}))]).await.unwrap();
        };
        // Two documents on the second page have the same name.
        for place in 0..210 {
            rename(place, format!("name {}", place.min(208))).await;
        }
        assert!(matches!(stage.migrate(&[NAMED]).await, Err(Error::Invalid(_))));
        rename(0, "late".to_owned()).await;
        rename(209, "other".to_owned()).await;
        stage.migrate(&[NAMED]).await.unwrap();
        for (place, name) in [(0, "late"), (199, "name 199"), (208, "name 208"), (209, "other")] {
            let unique = UniqueKey::new(NAMED, "name", [name]).unwrap();
            let holder = stage.direct.lookup(&unique).await.unwrap().unwrap();
            assert_eq!(holder.key.id(), in_order[place]);
        }
    }

    /// A value that one document holds under the new declaration may be held by another document under the old
    /// one.
    async fn a_unique_attribute_over_other_fields_takes_no_value_from_the_previous_one(stage) {
        const BY_EMAIL: &Collection = &PLAIN.uniques(&[Unique::new("code", &["email"])]);
        const BY_NAME: &Collection = &PLAIN.uniques(&[Unique::new("code", &["name"])]);
        stage.migrate(&[BY_EMAIL]).await.unwrap();
        for (id, email, name) in [("a", "x", "y"), ("b", "z", "x"), ("c", "s", "s"), ("d", "1", "twice"), ("e", "2", "twice")] {
            commit(&stage.direct, vec![create(BY_EMAIL, id, json!({"email": email, "name": name}))]).await.unwrap();
        }
        let expect_holders = async |collection, holders: &[(&str, Option<&str>)]| {
            for (value, id) in holders {
                let found = stage.direct.lookup(&UniqueKey::new(collection, "code", [*value]).unwrap()).await.unwrap();
                assert_eq!(found.as_ref().map(|document| document.key.id()), *id, "{value}");
            }
        };
        let refused = stage.migrate(&[BY_NAME]).await;
        assert!(matches!(&refused, Err(Error::Invalid(reason)) if reason.starts_with("`code` of `people`")), "{refused:?}");
        let previous = [("x", Some("a")), ("z", Some("b")), ("s", Some("c")), ("1", Some("d")), ("2", Some("e"))];
        expect_holders(BY_EMAIL, &previous).await;
        let taken = commit(&stage.direct, vec![create(BY_EMAIL, "f", json!({"email": "x"}))]).await;
        assert_eq!(taken.unwrap_err().taken_attribute(), Some("code"));
        let twice = stage.stored(BY_EMAIL, "e").await.unwrap();
        commit(&stage.direct, vec![replace(&twice, json!({"email": "2", "name": "once"}))]).await.unwrap();
        stage.migrate(&[BY_NAME]).await.unwrap();
        let holders = [("x", Some("b")), ("y", Some("a")), ("s", Some("c")), ("twice", Some("d")), ("once", Some("e")), ("z", None)];
        expect_holders(BY_NAME, &holders).await;
        // Nothing of the previous declaration is left; the additional item is the record of the migration.
        assert_eq!(stage.items("system").await.len(), 5 + 1);
    }

    async fn an_interrupted_migration_removes_nothing_before_everything_is_added(stage) {
        stage.migrate(&[FULL]).await.unwrap();
        fill(&stage, FULL, 210).await;
        // This document has no age, so it is not in the index by age, but will be in the index by address.
        commit(&stage.direct, vec![create(FULL, "ageless", json!({"email": "none", "name": "sentence"}))]).await.unwrap();
        begin(&stage, OTHER, 1).await;
        let expected: Vec<_> = (0..210).map(|n| format!("p{n:03}")).collect();
        assert_eq!(ids_of(&stage, Query::new(FULL, "by_age").partition(["word"])).await, expected);
        assert_eq!(ids_of(&stage, Query::new(FULL, "by_age").partition(["sentence"])).await, [""; 0]);
        begin(&stage, PLAIN, 1).await;
        assert_eq!(ids_of(&stage, Query::new(FULL, "by_age").partition(["word"])).await, expected);
        commit(&stage.direct, vec![Operation::Delete { previous: stage.stored(FULL, "ageless").await.unwrap() }]).await.unwrap();
        expect_address_and_name(&stage, FULL, 210).await;
    }

    async fn a_migration_that_is_interrupted_while_it_removes_continues_there(stage) {
        stage.migrate(&[FULL]).await.unwrap();
        fill(&stage, FULL, 210).await;
        begin(&stage, OTHER, 3).await;
        stage.patient.migrate(&Schema::new([OTHER]).unwrap()).await.unwrap();
        // Two pages in the first phase, two pages in the second phase, and the last of them again.
        assert_eq!(resumptions(&stage), [false, true, false, true, true]);
        let mut by_email: Vec<_> = (0..210).map(|n| (format!("e{n}"), format!("p{n:03}"))).collect();
        by_email.sort();
        let expected: Vec<_> = by_email.into_iter().map(|(_, id)| id).collect();
        assert_eq!(ids_of(&stage, Query::new(OTHER, "by_age").partition(["word"])).await, expected);
        expect_address_and_name(&stage, OTHER, 210).await;
    }

    async fn a_migration_that_another_one_has_superseded_records_nothing(stage) {
        const UNGUARDED: &Collection = &FULL.uniques(&[]);
        stage.migrate(&[PLAIN]).await.unwrap();
        fill(&stage, PLAIN, 3).await;
        let barrier = Arc::new(Barrier::new(2));
        // It has begun, has gone through all documents, and is about to record that.
        stage.endpoint.script("PutItem", [Step::Pass, Step::Wait(Arc::clone(&barrier))]);
        let first = spawn_migration(&stage, FULL);
        barrier.wait().await;
        stage.migrate(&[UNGUARDED]).await.unwrap();
        assert_eq!(stage.items("system").await.len(), 3 + 1);
        barrier.wait().await;
        assert_eq!(first.await.unwrap(), Err(Error::Contended));
        // The record of the other migration is kept, and the first one can be started again.
        stage.patient.migrate(&Schema::new([UNGUARDED]).unwrap()).await.unwrap();
        assert_eq!(stage.endpoint.requests("Scan").len(), 1);
        stage.migrate(&[FULL]).await.unwrap();
        expect_address_and_name(&stage, FULL, 3).await;
    }

    async fn a_migration_removes_what_another_one_left_that_came_first_as_it_began(stage) {
        const BOTH: &Collection = &FULL.search(&["name", "email"]);
        stage.migrate(&[PLAIN]).await.unwrap();
        fill(&stage, PLAIN, 3).await;
        let barrier = Arc::new(Barrier::new(2));
        // It has read the record and is about to record its own beginning.
        stage.endpoint.script("PutItem", [Step::Wait(Arc::clone(&barrier))]);
        let first = spawn_migration(&stage, FULL);
        barrier.wait().await;
        stage.migrate(&[BOTH]).await.unwrap();
        assert_eq!(stage.items("system").await.len(), 3 * 3 + 1);
        barrier.wait().await;
        assert_eq!(first.await.unwrap(), Ok(()));
        expect_address_and_name(&stage, FULL, 3).await;
    }

    async fn instances_that_run_the_same_migration_at_once_both_succeed(stage) {
        stage.migrate(&[PLAIN]).await.unwrap();
        fill(&stage, PLAIN, 210).await;
        let barrier = Arc::new(Barrier::new(2));
        // The first migration is about to record its first page when the other one finishes.
        stage.endpoint.script("PutItem", [Step::Pass, Step::Wait(Arc::clone(&barrier))]);
        let first = spawn_migration(&stage, FULL);
        barrier.wait().await;
        stage.migrate(&[FULL]).await.unwrap();
        barrier.wait().await;
        assert_eq!(first.await.unwrap(), Ok(()));
        expect_address_and_name(&stage, FULL, 210).await;
        stage.patient.migrate(&Schema::new([FULL]).unwrap()).await.unwrap();
        assert_eq!(resumptions(&stage), [false, true]);
    }

    async fn a_migration_record_is_sent_again_when_the_reply_is_lost(stage) {
        stage.migrate(&[PLAIN]).await.unwrap();
        fill(&stage, PLAIN, 210).await;
        stage.endpoint.script("PutItem", [Step::LoseReply, Step::Pass, Step::LoseReply, Step::Pass, Step::LoseReply]);
        stage.patient.migrate(&Schema::new([FULL]).unwrap()).await.unwrap();
        // The record is written at the beginning, after the first page and at the end.
        assert_eq!(stage.endpoint.requests("PutItem").len(), 2 * 3);
        expect_address_and_name(&stage, FULL, 210).await;
    }

    async fn a_value_that_moves_while_documents_are_migrated_is_not_held_twice(stage) {
        const GUARDED: &Collection = &PLAIN.uniques(&[Unique::new("email", &["email"])]);
        stage.migrate(&[PLAIN]).await.unwrap();
        for (id, email) in [("x", "v"), ("y", "w")] {
            commit(&stage.direct, vec![create(PLAIN, id, json!({"email": email}))]).await.unwrap();
        }
        let [x, y] = [stage.stored(GUARDED, "x").await.unwrap(), stage.stored(GUARDED, "y").await.unwrap()];
        // Both documents have been read, and their values are about to be claimed.
        let barrier = Arc::new(Barrier::new(3));
        stage.endpoint.script("TransactWriteItems", [Step::Wait(Arc::clone(&barrier)), Step::Wait(Arc::clone(&barrier))]);
        let migration = spawn_migration(&stage, GUARDED);
        barrier.wait().await;
        let moved = vec![replace(&x, json!({"email": "z"})), replace(&y, json!({"email": "v"}))];
        commit(&stage.direct, moved).await.unwrap();
        barrier.wait().await;
        assert_eq!(migration.await.unwrap(), Ok(()));
        for (email, holder) in [("v", Some("y")), ("w", None), ("z", Some("x"))] {
            let found = stage.direct.lookup(&UniqueKey::new(GUARDED, "email", [email]).unwrap()).await.unwrap();
            assert_eq!(found.as_ref().map(|document| document.key.id()), holder, "{email}");
        }
    }

    async fn reverting_a_migration_restores_what_it_had_removed(stage) {
        stage.migrate(&[FULL]).await.unwrap();
        fill(&stage, FULL, 210).await;
        begin(&stage, PLAIN, 3).await;
        assert_eq!(stage.items("system").await.len(), 2 * 10 + 1);
        stage.migrate(&[FULL]).await.unwrap();
        expect_address_and_name(&stage, FULL, 210).await;
    }

    /// The last migration knows that both previous declarations have left items, and treats neither as complete.
    async fn a_migration_after_an_abandoned_one_restores_what_that_had_removed(stage) {
        const GIVEN_UP: &Collection =
            &Collection::new("people").fields(FIELDS).uniques(&[Unique::new("age", &["age"])]).search(&["email"]);
        stage.migrate(&[FULL]).await.unwrap();
        fill(&stage, FULL, 210).await;
        begin(&stage, GIVEN_UP, 3).await;
        // The new items of all documents, and the old items of those that the second phase did not reach.
        assert_eq!(stage.items("system").await.len(), 2 * 210 + 2 * 10 + 1);
        // The next migration is also stopped in each phase and resumed. It still knows about the one that was
        // abandoned before.
        begin(&stage, OTHER, 1).await;
        begin(&stage, OTHER, 2).await;
        stage.migrate(&[OTHER]).await.unwrap();
        expect_address_and_name(&stage, OTHER, 210).await;
    }

    /// The tables exist before the migration, because DynamoDB Local loses writes to a table while its indexes are
    /// being created.
    async fn documents_may_be_written_while_they_are_migrated(stage) {
        stage.migrate(&[FULL]).await.unwrap();
        forget_layout(&stage).await;
        fill(&stage, PLAIN, 200).await;
        let before: Vec<_> = stage.direct.scan(&Scan::new(FULL)).await.unwrap().documents;
        let writer = {
            let db = stage.direct.clone();
            let documents = before.clone();
            tokio::spawn(async move {
                for (n, document) in documents.iter().enumerate().rev() {
                    let operation = match n % 4 {
                        0 => replace(document, json!({"email": format!("new{n}"), "name": "other", "age": n})),
                        1 => Operation::Delete { previous: document.clone() },
                        2 => replace(document, json!({"email": document.body["email"], "name": "word", "age": 1})),
                        _ => create(FULL, &format!("q{n:03}"), json!({"email": format!("q{n}"), "name": "word", "age": n})),
                    };
                    commit(&db, vec![operation]).await.unwrap();
                }
            })
        };
        stage.migrate(&[FULL]).await.unwrap();
        writer.await.unwrap();
        let documents = stage.direct.scan(&Scan::new(FULL)).await.unwrap().documents;
        assert_eq!(documents.len(), 200);
        for document in &documents {
            let email = document.body["email"].as_str().unwrap();
            let holder = stage.direct.lookup(&UniqueKey::new(FULL, "email", [email]).unwrap()).await.unwrap();
            assert_eq!(holder.as_ref(), Some(document));
        }
        for n in (0..200).filter(|n| n % 4 == 3) {
            assert_eq!(before[n].version, stage.stored(FULL, before[n].key.id()).await.unwrap().version);
        }
        let words = documents.iter().filter(|document| document.body["name"] == "word").count();
        let page = stage.direct.search(&Search::new(FULL, "word").limit(1000)).await.unwrap();
        assert_eq!(page.documents.len(), words);
        let page = stage.direct.query(&Query::new(FULL, "all").limit(1000)).await.unwrap();
        assert_eq!(page.documents.len(), 200);
    }

    async fn a_duplicate_value_is_reported_with_its_attribute_and_both_documents(stage) {
        stage.migrate(&[PLAIN]).await.unwrap();
        for id in ["a", "b"] {
            commit(&stage.direct, vec![create(PLAIN, id, json!({"email": "twice"}))]).await.unwrap();
        }
        let Err(Error::Invalid(message)) = stage.migrate(&[FULL]).await else { panic!("the migration is refused") };
        let sentence = "`email` of `people` cannot become unique: the documents `";
        let documents: BTreeSet<_> = message.strip_prefix(sentence).unwrap().split('`').step_by(2).collect();
        assert_eq!(documents, BTreeSet::from(["a", "b"]));
        // Migrating back to the previous declaration removes what was added.
        stage.migrate(&[PLAIN]).await.unwrap();
        assert_eq!(stage.guards_and_terms().await.len(), 0);
        assert!(stage.items("people").await.iter().all(|item| index_attributes(item) == 0));
    }

    async fn what_is_no_longer_declared_is_dropped_with_its_guards_and_terms(stage) {
        stage.migrate(&[FULL]).await.unwrap();
        fill(&stage, FULL, 3).await;
        stage.migrate(&[PLAIN]).await.unwrap();
        assert_eq!(stage.guards_and_terms().await.len(), 0);
        assert!(stage.items("people").await.iter().all(|item| index_attributes(item) == 0));
        let table = format!("{}-people", stage.tables.prefix);
        let described = stage.direct.client().describe_table().table_name(table).send().await.unwrap().table.unwrap();
        assert_eq!(described.global_secondary_indexes().len(), 0);
    }

    async fn a_guard_that_is_no_longer_declared_is_removed_despite_failures_and_writes_to_its_document(stage) {
        const GUARDED: &Collection = &PLAIN.uniques(&[Unique::new("email", &["email"])]);
        stage.migrate(&[PLAIN]).await.unwrap();
        commit(&stage.direct, vec![create(PLAIN, "a", json!({"email": "e"}))]).await.unwrap();
        let conflict = Step::Answer(400, refusal("TransactionConflictException"));
        let another_version = json!({
            "TableName": format!("{}-people", stage.tables.prefix),
            "Item": {"id": {"S": "a"}, "version": {"S": "AAAAAAAAAAAAAAAAAAAAAA"}, "doc": {"M": {"email": {"S": "e"}}}},
        });
        for step in [
            cancelled(&["None", "TransactionConflict"]),
            cancelled(&["TransactionConflict", "None"]),
            cancelled(&["None", "ThrottlingError"]),
            conflict,
            throttled(),
            broken(),
            Step::Cut,
            Step::Hang,
            Step::LoseReply,
            Step::LoseReplyAfter(another_version, "PutItem"),
        ] {
            stage.migrate(&[GUARDED]).await.unwrap();
            assert_eq!(stage.guards_and_terms().await.len(), 1);
            let described = format!("{step:?}");
            stage.endpoint.script("TransactWriteItems", [step]);
            stage.db.migrate(&Schema::new([PLAIN]).unwrap()).await.unwrap();
            assert_eq!(stage.guards_and_terms().await.len(), 0, "{described}");
        }
    }

    async fn a_document_may_have_more_terms_than_a_transaction_holds(stage) {
        const LOTS: &Collection = &Collection::new("people").fields(FIELDS).search(&["name", "email"]);
        const OTHERS: &Collection = &Collection::new("people").fields(FIELDS).search(&["email"]);
        let words = |letter: char| (0..40).map(|n| format!("{letter}{n}")).collect::<Vec<_>>().join(" ");
        stage.migrate(&[PLAIN]).await.unwrap();
        commit(&stage.direct, vec![create(PLAIN, "a", json!({"name": words('n'), "email": words('e')}))]).await.unwrap();
        for collection in [LOTS, OTHERS, LOTS, OTHERS] {
            stage.migrate(&[collection]).await.unwrap();
            assert_eq!(stage.guards_and_terms().await.len(), 32);
        }
        assert!(stage.guards_and_terms().await.keys().all(|about| about.starts_with("people: e")));
    }
}
