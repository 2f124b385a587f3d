//! Tests of calls when DynamoDB or the network fails: nothing is applied twice, no document is reported absent
//! that was not read, and an unknown outcome is reported as unknown.

use std::sync::Arc;

use serde_json::{Value, json};
use switchyard_ambient::Ambient;
use switchyard_database::{
    Batch, Cause, Consistency, Database as _, Db, Error, Expect, Key, Operation, Query, Result, Scan, retry,
};
use switchyard_dynamodb::DynamoDb;

use crate::common::{config, endpoint};
use crate::endpoint::Step;
use crate::stage::{
    HITS, PEOPLE, Person, Stage, THINGS, addition, commit, create, increment, on_a_stage, replace,
};

pub(crate) fn refusal(code: &str) -> Value {
    json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "scripted"})
}

pub(crate) fn throttled() -> Step {
    Step::Answer(400, refusal("ProvisionedThroughputExceededException"))
}

pub(crate) fn broken() -> Step {
    Step::Answer(500, refusal("InternalServerError"))
}

pub(crate) fn cancelled(codes: &[&str]) -> Step {
    let reasons: Vec<_> = codes.iter().map(|code| json!({"Code": code})).collect();
    let mut answer = refusal("TransactionCanceledException");
    answer["CancellationReasons"] = json!(reasons);
    Step::Answer(400, answer)
}

fn is_unknown(outcome: &Result<()>) -> bool {
    matches!(outcome, Err(Error::OutcomeUnknown(_)))
}

on_a_stage! {
    Stage::new;

    async fn a_throttled_read_is_retried(stage) {
        let stored = stage.create("a", json!({"count": 1})).await;
        stage.endpoint.script("GetItem", [throttled(), throttled()]);
        assert_eq!(stage.db.get(&stored.key).await, Ok(Some(stored)));
        assert_eq!(stage.endpoint.requests("GetItem").len(), 3);
    }

    async fn a_read_that_fails_or_hangs_or_breaks_is_retried(stage) {
        let stored = stage.create("a", json!({"count": 1})).await;
        stage.endpoint.script("GetItem", [broken(), Step::Hang, Step::Cut, Step::LoseReply]);
        assert_eq!(stage.db.get(&stored.key).await, Ok(Some(stored)));
        assert_eq!(stage.endpoint.requests("GetItem").len(), 5);
    }

    async fn a_write_that_stays_throttled_is_reported_as_throttled(stage) {
        stage.endpoint.script("PutItem", (0..20).map(|_| throttled()));
        let outcome = commit(&stage.db, vec![create(THINGS, "a", json!({"count": 1}))]).await;
        assert_eq!(outcome, Err(Error::Throttled { after: None }));
        assert_eq!(stage.stored(THINGS, "a").await, None);
    }

    /// Every layer is involved: the backend, the transaction, and a commit of several items.
    async fn a_throttled_transaction_sends_five_requests_and_none_after_its_deadline(stage) {
        let db = &Db::new(Arc::new(stage.db.clone()), Ambient::system());
        let people = db.collection::<Person>();
        people.insert(&Person::new("p", "old")).await.unwrap();
        let sent = || stage.endpoint.requests("TransactWriteItems").len();
        let change = async || people.update("p", |person| person.email = "new".to_owned()).await;
        for refused in [throttled, || cancelled(&["None", "ThrottlingError", "None"])] {
            stage.endpoint.script("TransactWriteItems", (0..5).map(|_| refused()));
            let before = sent();
            assert_eq!(change().await.unwrap_err(), Error::Throttled { after: None });
            assert_eq!(sent() - before, 5);
        }
        stage.endpoint.script("TransactWriteItems", [throttled()]);
        let before = sent();
        let late = retry::within(tokio::time::Instant::now(), change()).await;
        assert_eq!((late.unwrap_err(), sent() - before), (Error::Throttled { after: None }, 1));
        assert_eq!(change().await.unwrap().unwrap().email, "new");
    }

    async fn keys_that_are_throttled_and_unprocessed_in_turn_are_requested_five_times(stage) {
        fn all(request: &mut Value) -> Value {
            request["RequestItems"].clone()
        }
        fn give_all_back(answer: &mut Value, all: Value) {
            *answer = json!({"Responses": {}, "UnprocessedKeys": all});
        }
        let key = stage.create("a", json!({"count": 1})).await.key;
        let steps = (0..9).flat_map(|_| [throttled(), Step::Rewrite(all, give_all_back)]);
        stage.endpoint.script("BatchGetItem", steps);
        let outcome = stage.db.get_many(std::slice::from_ref(&key), Consistency::Linearizable).await;
        assert_eq!(outcome, Err(Error::Throttled { after: None }));
        assert_eq!(stage.endpoint.requests("BatchGetItem").len(), 5);
    }

    /// Besides the write, the document is read until its state would show that the write was applied.
    async fn a_lost_write_is_looked_for_with_five_reads(stage) {
        stage.create("a", json!({"count": 1})).await;
        stage.endpoint.script("UpdateItem", [Step::Cut]);
        stage.endpoint.script("GetItem", (0..9).map(|_| throttled()));
        let outcome = commit(&stage.db, vec![increment("a")]).await;
        assert!(is_unknown(&outcome), "{outcome:?}");
        assert_eq!(stage.endpoint.requests("GetItem").len(), 5);
    }

    async fn unprocessed_keys_are_requested_again(stage) {
        let mut keys = Vec::new();
        for id in ["a", "b", "c"] {
            keys.push(stage.create(id, json!({"count": 1})).await.key);
        }
        // All but the first key of a request are returned unprocessed.
        fn keep_the_first(request: &mut Value) -> Value {
            let mut rest = request["RequestItems"].clone();
            for (table, keys) in request["RequestItems"].as_object_mut().unwrap() {
                let keys = keys["Keys"].as_array_mut().unwrap();
                rest[table.as_str()]["Keys"] = json!(keys.split_off(1));
            }
            rest
        }
        fn give_back(answer: &mut Value, rest: Value) {
            answer["UnprocessedKeys"] = rest;
        }
        stage.endpoint.script("BatchGetItem", [Step::Rewrite(keep_the_first, give_back), Step::Rewrite(keep_the_first, give_back)]);
        let found = stage.db.get_many(&keys, Consistency::Linearizable).await.unwrap();
        let ids: Vec<_> = found.iter().map(|document| document.as_ref().unwrap().key.id()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
        assert_eq!(stage.endpoint.requests("BatchGetItem").len(), 3);
    }

    async fn keys_that_stay_unprocessed_are_not_reported_as_absent(stage) {
        fn ask_for_nothing(request: &mut Value) -> Value {
            request["RequestItems"].clone()
        }
        fn give_all_back(answer: &mut Value, all: Value) {
            *answer = json!({"Responses": {}, "UnprocessedKeys": all});
        }
        let key = stage.create("a", json!({"count": 1})).await.key;
        stage.endpoint.script("BatchGetItem", (0..20).map(|_| Step::Rewrite(ask_for_nothing, give_all_back)));
        let outcome = stage.db.get_many(std::slice::from_ref(&key), Consistency::Linearizable).await;
        assert_eq!(outcome, Err(Error::Throttled { after: None }));
    }

    async fn an_empty_page_with_a_continuation_is_not_the_end(stage) {
        stage.create("a", json!({"count": 1, "name": "n", "rank": 5})).await;
        fn keep(request: &mut Value) -> Value {
            request.clone()
        }
        // As DynamoDB does if everything that it read in one request was filtered out.
        fn empty_index_page(answer: &mut Value, request: Value) {
            let key = json!({
                "id": {"S": "\u{1}"},
                "by_rank_partition": request["ExpressionAttributeValues"][":partition"],
                "by_rank_position": {"B": "AA=="},
            });
            *answer = json!({"Items": [], "Count": 0, "ScannedCount": 9, "LastEvaluatedKey": key});
        }
        fn empty_scan_page(answer: &mut Value, _: Value) {
            *answer = json!({"Items": [], "Count": 0, "ScannedCount": 9, "LastEvaluatedKey": {"id": {"S": "a"}}});
        }
        stage.endpoint.script("Query", [Step::Rewrite(keep, empty_index_page)]);
        let page = stage.db.query(&Query::new(THINGS, "by_rank").partition(["n"])).await.unwrap();
        assert_eq!((page.documents.len(), page.next), (1, None));
        assert_eq!(stage.endpoint.requests("Query").len(), 2);
        stage.endpoint.script("Scan", [Step::Rewrite(keep, empty_scan_page)]);
        let page = stage.db.scan(&Scan::new(THINGS)).await.unwrap();
        assert_eq!((page.documents.len(), page.next), (0, None));
        assert_eq!(stage.endpoint.requests("Scan")[1]["ExclusiveStartKey"], json!({"id": {"S": "a"}}));
    }

    async fn a_plain_write_that_conflicts_with_a_transaction_is_retried(stage) {
        let stored = stage.create("a", json!({"count": 1})).await;
        let conflict = || Step::Answer(400, refusal("TransactionConflictException"));
        stage.endpoint.script("UpdateItem", (0..9).map(|_| conflict()));
        commit(&stage.db, vec![increment("a")]).await.unwrap();
        assert_eq!(stage.count("a").await, 2);
        stage.endpoint.script("PutItem", [conflict()]);
        let current = stage.stored(THINGS, "a").await.unwrap();
        assert_ne!(current.version, stored.version);
        commit(&stage.db, vec![replace(&current, json!({"count": 7}))]).await.unwrap();
        assert_eq!(stage.count("a").await, 7);
    }

    async fn a_transaction_that_conflicts_with_another_one_is_retried_under_a_new_token(stage) {
        stage.endpoint.script("TransactWriteItems", [
            cancelled(&["None", "TransactionConflict"]),
            cancelled(&["ConditionalCheckFailed", "TransactionConflict"]),
            cancelled(&["ThrottlingError", "None"]),
        ]);
        commit(&stage.db, vec![create(PEOPLE, "p", json!({"email": "e"}))]).await.unwrap();
        let mut tokens: Vec<_> = stage.endpoint.requests("TransactWriteItems").iter().map(|request| request["ClientRequestToken"].to_string()).collect();
        tokens.sort();
        tokens.dedup();
        assert_eq!(tokens.len(), 4);
    }

    async fn a_failed_condition_together_with_a_conflict_decides_nothing(stage) {
        stage.endpoint.script("TransactWriteItems", (0..50).map(|_| cancelled(&["ConditionalCheckFailed", "TransactionConflict"])));
        let outcome = commit(&stage.db, vec![create(PEOPLE, "p", json!({"email": "e"}))]).await;
        assert_eq!(outcome, Err(Error::Contended));
    }

    async fn who_has_lost_a_race_is_told_although_the_transaction_still_conflicts(stage) {
        commit(&stage.direct, vec![create(PEOPLE, "winner", json!({"email": "e"}))]).await.unwrap();
        let stored = stage.stored(PEOPLE, "winner").await.unwrap();
        let a = stage.create("a", json!({"count": 1})).await;
        let taken = Cause::UniqueTaken { attribute: "email" };
        let check = Operation::Check { key: a.key.clone(), expect: Expect::Absent };
        let renamed = replace(&stored, json!({"email": "f"}));
        commit(&stage.direct, vec![renamed.clone()]).await.unwrap();
        commit(&stage.direct, vec![create(PEOPLE, "second", json!({"email": "e"}))]).await.unwrap();
        for (operations, rejection) in [
            (vec![create(PEOPLE, "loser", json!({"email": "e"}))], (0, taken)),
            (vec![increment("a"), create(PEOPLE, "loser", json!({"email": "e"}))], (1, taken)),
            (vec![check, create(PEOPLE, "loser", json!({"email": "e"}))], (0, Cause::CheckFailed)),
            (vec![renamed], (0, Cause::VersionMismatch)),
        ] {
            stage.endpoint.script("TransactWriteItems", [cancelled(&["TransactionConflict", "None"])]);
            let before = stage.endpoint.requests("TransactWriteItems").len();
            let refused = commit(&stage.db, operations).await.unwrap_err();
            let lowest = refused.rejection().unwrap();
            assert_eq!((lowest.operation, lowest.cause), rejection);
            assert_eq!(stage.endpoint.requests("TransactWriteItems").len() - before, 1);
        }
    }

    async fn who_has_lost_a_race_for_one_document_is_told_although_the_write_still_conflicts(stage) {
        stage.create("a", json!({"count": 1})).await;
        stage.endpoint.script("PutItem", [Step::Answer(400, refusal("TransactionConflictException"))]);
        let refused = commit(&stage.db, vec![create(THINGS, "a", json!({"count": 2}))]).await.unwrap_err();
        assert_eq!(refused.rejection().unwrap().cause, Cause::AlreadyExists);
        assert_eq!(stage.endpoint.requests("PutItem").len(), 1);
    }

    async fn a_create_whose_reply_is_lost_is_found_by_its_version(stage) {
        stage.endpoint.script("PutItem", [Step::LoseReply]);
        let batch = Batch::new(vec![create(THINGS, "a", json!({"count": 1}))], &Ambient::system()).unwrap();
        let versions = stage.db.commit(&batch).await.unwrap();
        assert_eq!(stage.stored(THINGS, "a").await.unwrap().version, versions[0]);
        assert_eq!(stage.endpoint.requests("PutItem").len(), 1);
    }

    /// The document may have been created and then deleted. Creating it again would bring it back.
    async fn a_create_that_leaves_no_trace_has_an_unknown_outcome(stage) {
        for step in [Step::Cut, broken(), Step::Hang] {
            stage.endpoint.script("PutItem", [step]);
            let outcome = commit(&stage.db, vec![create(THINGS, "a", json!({"count": 1}))]).await;
            assert!(is_unknown(&outcome), "{outcome:?}");
            assert_eq!(stage.stored(THINGS, "a").await, None);
        }
        assert_eq!(stage.endpoint.requests("PutItem").len(), 3);
    }

    async fn a_replace_whose_reply_is_lost_is_applied_once(stage) {
        for step in [Step::LoseReply, Step::Cut, broken(), Step::Hang] {
            let before = match stage.stored(THINGS, "a").await {
                Some(stored) => stored,
                None => stage.create("a", json!({"count": 1})).await,
            };
            stage.endpoint.script("PutItem", [step]);
            let batch = Batch::new(vec![replace(&before, json!({"count": 2}))], &Ambient::system()).unwrap();
            let versions = stage.db.commit(&batch).await.unwrap();
            assert_eq!(stage.stored(THINGS, "a").await.unwrap().version, versions[0]);
        }
    }

    async fn a_replace_that_another_writer_may_have_followed_has_an_unknown_outcome(stage) {
        let before = stage.create("a", json!({"count": 1})).await;
        let other = json!({
            "TableName": format!("{}-things", stage.tables.prefix),
            "Item": {"id": {"S": "a"}, "version": {"S": "AAAAAAAAAAAAAAAAAAAAAA"}, "doc": {"M": {"count": {"N": "9"}}}},
        });
        stage.endpoint.script("PutItem", [Step::LoseReplyAfter(other, "PutItem")]);
        let outcome = commit(&stage.db, vec![replace(&before, json!({"count": 2}))]).await;
        assert!(is_unknown(&outcome), "{outcome:?}");
        assert_eq!(stage.count("a").await, 9);
    }

    async fn a_delete_that_was_not_applied_is_retried(stage) {
        for step in [Step::Cut, broken(), Step::Hang] {
            let stored = stage.create("a", json!({"count": 1})).await;
            stage.endpoint.script("DeleteItem", [step]);
            // The answer to the second attempt is the first one that arrives.
            commit(&stage.db, vec![Operation::Delete { previous: stored }]).await.unwrap();
            assert_eq!(stage.stored(THINGS, "a").await, None);
        }
    }

    async fn a_delete_whose_reply_is_lost_has_an_unknown_outcome(stage) {
        let stored = stage.create("a", json!({"count": 1})).await;
        stage.endpoint.script("DeleteItem", [Step::LoseReply]);
        let outcome = commit(&stage.db, vec![Operation::Delete { previous: stored }]).await;
        assert!(is_unknown(&outcome), "{outcome:?}");
        assert_eq!(stage.stored(THINGS, "a").await, None);
    }

    async fn an_increment_whose_reply_is_lost_is_found_by_its_version_and_never_retried(stage) {
        stage.create("a", json!({"count": 1})).await;
        stage.endpoint.script("UpdateItem", [Step::LoseReply]);
        assert_eq!(commit(&stage.db, vec![increment("a")]).await, Ok(()));
        assert_eq!(stage.count("a").await, 2);
        for step in [Step::Cut, broken(), Step::Hang] {
            stage.endpoint.script("UpdateItem", [step]);
            let outcome = commit(&stage.db, vec![increment("a")]).await;
            assert!(is_unknown(&outcome), "{outcome:?}");
        }
        assert_eq!(stage.count("a").await, 2);
        assert_eq!(stage.endpoint.requests("UpdateItem").len(), 4);
    }

    async fn an_addition_whose_reply_is_lost_is_neither_repeated_nor_looked_for(stage) {
        stage.migrate(&[HITS]).await.unwrap();
        // Only the first one is applied.
        for (step, sum) in [(Step::LoseReply, 2), (broken(), 3), (Step::Hang, 4)] {
            stage.endpoint.script("UpdateItem", [step]);
            let outcome = stage.db.add(&addition("h", 1, 60, &stage.ambient())).await;
            assert!(matches!(outcome, Err(Error::OutcomeUnknown(_))), "{outcome:?}");
            assert_eq!(stage.direct.add(&addition("h", 1, 60, &stage.ambient())).await, Ok(sum));
        }
        assert_eq!(stage.endpoint.operations(), ["UpdateItem"; 3]);
    }

    async fn an_addition_that_was_not_accepted_is_repeated(stage) {
        stage.migrate(&[HITS]).await.unwrap();
        stage.endpoint.script("UpdateItem", [throttled(), throttled()]);
        assert_eq!(stage.db.add(&addition("h", 1, 60, &stage.ambient())).await, Ok(1));
        assert_eq!(stage.endpoint.operations(), ["UpdateItem"; 3]);
    }

    async fn a_transaction_whose_reply_is_lost_is_sent_again_under_its_token_and_applied_once(stage) {
        stage.create("a", json!({"count": 1})).await;
        for (place, step) in [Step::LoseReply, Step::Cut, broken(), Step::Hang].into_iter().enumerate() {
            stage.endpoint.script("TransactWriteItems", [step]);
            let email = json!({"email": format!("e{place}")});
            commit(&stage.db, vec![increment("a"), create(PEOPLE, &format!("p{place}"), email)]).await.unwrap();
            assert_eq!(stage.count("a").await, 2 + i64::try_from(place).unwrap());
        }
        let requests = stage.endpoint.requests("TransactWriteItems");
        assert_eq!(requests.len(), 8);
        assert!(requests.chunks(2).all(|pair| pair[0] == pair[1]));
    }

    async fn a_batch_that_was_applied_before_is_not_rejected_by_itself(stage) {
        let batch = Batch::new(vec![create(PEOPLE, "p", json!({"email": "e"}))], &Ambient::system()).unwrap();
        let versions = stage.db.commit(&batch).await.unwrap();
        assert_eq!(stage.db.commit(&batch).await, Ok(versions));
        let other = commit(&stage.db, vec![create(PEOPLE, "p", json!({"email": "e"}))]).await.unwrap_err();
        assert_eq!(other.rejection().unwrap().cause, Cause::AlreadyExists);
    }

    async fn rejected_credentials_are_reported_at_once(stage) {
        stage.endpoint.script("GetItem", [Step::Answer(400, refusal("UnrecognizedClientException"))]);
        let outcome = stage.db.get(&Key::new(THINGS, "a").unwrap()).await;
        assert_eq!(outcome, Err(Error::Internal("DynamoDB rejected the credentials: scripted".to_owned())));
        assert_eq!(stage.endpoint.requests("GetItem").len(), 1);
    }
}

#[tokio::test]
async fn an_endpoint_without_a_listener_is_unavailable() {
    // The port was bound and released, so nothing listens on it.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = config(&format!("http://127.0.0.1:{port}")).await;
    let db = DynamoDb::with_config("nowhere", &config, Ambient::system()).unwrap();
    let read = db.get(&Key::new(THINGS, "a").unwrap()).await.unwrap_err();
    assert!(matches!(&read, Error::Unavailable(reason) if reason.contains("Connection refused")), "{read}");
    let write = commit(&db, vec![create(THINGS, "a", json!({"count": 1}))]).await.unwrap_err();
    assert!(matches!(&write, Error::Unavailable(_)), "{write}");
}

#[tokio::test]
async fn missing_tables_are_reported_with_their_region() {
    let db = DynamoDb::with_config("no-such-prefix", &config(&endpoint()).await, Ambient::system()).unwrap();
    let refused = db.get(&Key::new(THINGS, "a").unwrap()).await.unwrap_err().to_string();
    let expected = "internal database error: a table or an index under the prefix `no-such-prefix` is missing in the \
                    region eu-west-1: check both, or run the migration (Cannot do operations on a non-existent table)";
    assert_eq!(refused, expected);
    assert_eq!(db.ping().await, Ok(()));
}

#[tokio::test]
async fn incomplete_settings_are_reported_in_one_sentence() {
    let complete = config("http://127.0.0.1:1").await;
    let without_region = complete.to_builder().region(None).build();
    let refused = DynamoDb::with_config("p", &without_region, Ambient::system()).unwrap_err();
    let sentence = "no AWS region is set: set AWS_REGION to the region of the tables";
    assert_eq!(refused, Error::Invalid(sentence.to_owned()));

    let without_credentials = aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new("eu-west-1"))
        .build();
    let db = DynamoDb::with_config("p", &without_credentials, Ambient::system()).unwrap();
    let refused = db.get(&Key::new(THINGS, "a").unwrap()).await.unwrap_err();
    let sentence =
        "no AWS credentials were found for DynamoDB: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    assert!(matches!(&refused, Error::Internal(text) if text.starts_with(sentence)), "{refused}");

    let refused = DynamoDb::with_config("my tables", &complete, Ambient::system()).unwrap_err();
    let sentence = "the table prefix `my tables` must be 1 to 200 of a-z, A-Z, 0-9, `_`, `-` and `.`";
    assert_eq!(refused, Error::Invalid(sentence.to_owned()));
}
