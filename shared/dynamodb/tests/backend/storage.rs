//! Tests of the stored items and of the number of requests.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use switchyard_database::{
    Cause, Collection, Database as _, Expect, Field, Filter, Index, Key, Operation, Query, UniqueKey,
};

use crate::stage::{
    HITS, Item, PEOPLE, START, Stage, THINGS, addition, body, commit, create, increment, on_a_stage, replace,
};

const SESSIONS: &Collection = &Collection::new("sessions")
    .fields(&[Field::string("token"), Field::string("device")])
    .indexes(&[Index::new("all").sort(&["token"]).shards(2)])
    .uniques(&[switchyard_database::Unique::new("token", &["token"])])
    .search(&["device"])
    .expiring();

fn session(id: &str, token: &str, seconds: u64) -> Operation {
    Operation::Create {
        key: Key::new(SESSIONS, id).unwrap(),
        body: body(json!({"token": token, "device": "phone"})),
        expires_at: Some(START + Duration::from_millis(seconds * 1000 + 500)),
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: &str) -> AttributeValue {
    AttributeValue::N(number.to_owned())
}

fn bytes(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(bytes.to_vec().into())
}

fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.map(|(name, value)| (name.to_owned(), value)).into()
}

on_a_stage! {
    Stage::new;

    async fn a_document_is_a_readable_item(stage) {
        let stored = stage.create("t-1", json!({"name": "Nut", "rank": 7, "count": 0, "tags": ["a", null]})).await;
        let tags = AttributeValue::L(vec![text("a"), AttributeValue::Null(true)]);
        let document = item([("name", text("Nut")), ("rank", number("7")), ("count", number("0")), ("tags", tags)]);
        let expected = item([
            ("id", text("t-1")),
            ("version", text(&stored.version.to_string())),
            ("doc", AttributeValue::M(document)),
            ("by_rank_partition", bytes(b"Nut\0")),
            ("by_rank_position", bytes(b"\x80\0\0\0\0\0\0\x07t-1\0")),
        ]);
        assert_eq!(stage.items("things").await, [expected]);
    }

    async fn an_addition_is_one_request_and_its_tally_an_attribute_of_its_own(stage) {
        stage.migrate(&[HITS]).await.unwrap();
        let first = addition("h", 5, 60, &stage.ambient());
        assert_eq!(stage.db.add(&first).await, Ok(5));
        assert_eq!(stage.db.add(&addition("h", 2, 60, &stage.ambient())).await, Ok(7));
        let last = addition("h", -1, 60, &stage.ambient());
        assert_eq!(stage.db.add(&last).await, Ok(6));
        assert_eq!(stage.endpoint.operations(), ["UpdateItem"; 3]);
        let stored = stage.items("hits").await.remove(0);
        let expected = item([
            ("id", text("h")),
            ("version", text(&last.version().to_string())),
            ("doc", AttributeValue::M(item([("page", text("a"))]))),
            ("doc.count", number("6")),
            ("expires_at", number("4102444860000000")),
            ("ttl", number("4102444860")),
        ]);
        assert_eq!(stored, expected);
        // Only over an expired document it is two.
        stage.clock.advance(Duration::from_secs(60));
        assert_eq!(stage.db.add(&addition("h", 3, 60, &stage.ambient())).await, Ok(3));
        assert_eq!(stage.endpoint.operations()[3..], ["UpdateItem", "PutItem"]);
    }

    async fn a_filter_on_copied_fields_reads_no_document_that_it_refuses(stage) {
        const CARS: &Collection = &Collection::new("cars")
            .fields(&[Field::string("maker"), Field::string("color"), Field::integer("seats")])
            .indexes(&[Index::new("of_maker").partition(&["maker"]).copying_fields(&["color"])]);
        stage.migrate(&[CARS]).await.unwrap();
        for (id, color, seats) in [("a", "red", 2), ("b", "blue", 4), ("c", "red", 4), ("d", "blue", 2)] {
            let body = json!({"maker": "m", "color": color, "seats": seats});
            commit(&stage.direct, vec![create(CARS, id, body)]).await.unwrap();
        }
        let mut stored = stage.items("cars").await;
        stored.sort_by_key(|item| item["id"].as_s().unwrap().clone());
        assert_eq!(stored[0]["doc.color"], text("red"));
        assert_eq!(stored[0]["doc"], AttributeValue::M(item([("maker", text("m")), ("seats", number("2"))])));
        let red = Query::new(CARS, "of_maker").partition(["m"]).filter(Filter::equals("color", "red"));
        let found = stage.db.query(&red).await.unwrap();
        let bodies: Vec<_> = found.documents.into_iter().map(|document| serde_json::Value::Object(document.body)).collect();
        let expected = [("red", 2), ("red", 4)].map(|(color, seats)| json!({"maker": "m", "color": color, "seats": seats}));
        assert_eq!(bodies, expected);
        assert_eq!(stage.endpoint.operations(), ["Query", "BatchGetItem"]);
        let read = &stage.endpoint.requests("BatchGetItem")[0]["RequestItems"][format!("{}-cars", stage.tables.prefix)];
        assert_eq!(read["Keys"], json!([{"id": {"S": "a"}}, {"id": {"S": "c"}}]));
        assert_eq!(read["ConsistentRead"], json!(false));
        let green = Query::new(CARS, "of_maker").partition(["m"]).filter(Filter::equals("color", "green"));
        assert_eq!(stage.db.query(&green).await.unwrap().documents, []);
        assert_eq!(stage.endpoint.operations()[2..], ["Query"]);
    }

    async fn a_partition_of_an_index_is_spread_over_its_shards(stage) {
        const ORDERS: &Collection = &Collection::new("orders")
            .fields(&[Field::string("status").few_values(), Field::integer("rank")])
            .indexes(&[Index::new("of_status").partition(&["status"]).sort(&["rank"]).shards(4)]);
        stage.migrate(&[ORDERS]).await.unwrap();
        let ids: Vec<_> = (0..20).map(|number| format!("o-{number}")).collect();
        let orders = ids.iter().map(|id| create(ORDERS, id, json!({"status": "open", "rank": 1})));
        commit(&stage.direct, orders.collect()).await.unwrap();
        let partitions: BTreeSet<_> =
            stage.items("orders").await.iter().map(|item| item["of_status_partition"].as_b().unwrap().as_ref().to_vec()).collect();
        assert_eq!(partitions, (0..4).map(|shard| [b"open\0", &[shard][..]].concat()).collect());
        let query = Query::new(ORDERS, "of_status").partition(["open"]);
        assert_eq!(stage.db.query(&query).await.unwrap().documents.len(), 20);
        assert_eq!(stage.endpoint.requests("Query").len(), 4);
    }

    async fn guards_and_terms_expire_with_their_document(stage) {
        stage.migrate(&[SESSIONS]).await.unwrap();
        commit(&stage.direct, vec![session("s", "abc", 60)]).await.unwrap();
        let (expires_at, ttl) = (number("4102444860500000"), number("4102444861"));
        let stored = stage.items("sessions").await.remove(0);
        assert_eq!((&stored["expires_at"], &stored["ttl"]), (&expires_at, &ttl));
        assert_eq!(stored["all_partition"], bytes(&[0]));
        let mut derived = stage.items("system").await;
        derived.retain(|item| item.contains_key("owner"));
        derived.sort_by_key(|item| item["about"].as_s().unwrap().clone());
        // The FNV-1a hash of the name of the only field precedes the value.
        let fields = b"\x26\xc4\xb1\x7d\x50\xb3\xc1\x52";
        let guard = item([
            ("partition", bytes(&[&b"guard\0sessions\0token\0"[..], fields, b"abc\0"].concat())),
            ("position", bytes(&[0])),
            ("owner", text("s")),
            ("about", text("sessions.token")),
            ("expires_at", expires_at.clone()),
            ("ttl", ttl.clone()),
        ]);
        let term = item([
            // The shard of `s` ends it.
            ("partition", bytes(b"term\0sessions\0p\0\x02")),
            ("position", bytes(b"phone\0s\0")),
            ("owner", text("s")),
            ("about", text("sessions: phone")),
            ("expires_at", expires_at),
            ("ttl", ttl),
        ]);
        assert_eq!(derived, [guard, term]);
    }

    async fn a_sweep_removes_guards_and_terms_except_those_that_other_documents_took_over(stage) {
        stage.migrate(&[SESSIONS]).await.unwrap();
        commit(&stage.direct, vec![session("a", "1", 1), session("b", "2", 1), session("c", "3", 900)]).await.unwrap();
        stage.clock.advance(Duration::from_secs(2));
        commit(&stage.direct, vec![session("d", "1", 900)]).await.unwrap();
        assert_eq!(stage.direct.sweep_expired(1).await, Ok(1));
        assert_eq!(stage.direct.sweep_expired(100).await, Ok(1));
        assert_eq!(stage.direct.sweep_expired(100).await, Ok(0));
        let mut left: Vec<_> = stage.items("sessions").await.iter().map(|item| item["id"].as_s().unwrap().clone()).collect();
        left.sort();
        assert_eq!(left, ["c", "d"]);
        let derived = stage.items("system").await;
        let mut owners: Vec<_> = derived.iter().filter_map(|item| Some(item.get("owner")?.as_s().unwrap().as_str())).collect();
        owners.sort_unstable();
        assert_eq!(owners, ["c", "c", "d", "d"]);
    }

    async fn one_document_without_guards_and_terms_is_one_plain_request(stage) {
        commit(&stage.db, vec![create(THINGS, "a", json!({"count": 1}))]).await.unwrap();
        commit(&stage.db, vec![increment("a")]).await.unwrap();
        let stored = stage.stored(THINGS, "a").await.unwrap();
        commit(&stage.db, vec![replace(&stored, json!({"count": 5}))]).await.unwrap();
        let refused = commit(&stage.db, vec![replace(&stored, json!({"count": 6}))]).await.unwrap_err();
        assert_eq!(refused.rejection().unwrap().cause, Cause::VersionMismatch);
        let stored = stage.stored(THINGS, "a").await.unwrap();
        commit(&stage.db, vec![Operation::Delete { previous: stored }]).await.unwrap();
        let requests = ["PutItem", "UpdateItem", "DeleteItem", "GetItem", "TransactWriteItems"]
            .map(|name| stage.endpoint.requests(name).len());
        assert_eq!(requests, [3, 1, 1, 0, 0]);
    }

    async fn an_unchanged_unique_value_needs_no_transaction(stage) {
        commit(&stage.direct, vec![create(PEOPLE, "p", json!({"email": "e"}))]).await.unwrap();
        let stored = stage.stored(PEOPLE, "p").await.unwrap();
        commit(&stage.db, vec![replace(&stored, json!({"email": "e", "name": "new"}))]).await.unwrap();
        assert_eq!(stage.endpoint.requests("TransactWriteItems").len(), 0);
    }

    async fn a_value_that_moves_is_one_write_in_one_transaction(stage) {
        commit(&stage.direct, vec![create(PEOPLE, "p", json!({"email": "e"}))]).await.unwrap();
        let stored = stage.stored(PEOPLE, "p").await.unwrap();
        let moves = vec![Operation::Delete { previous: stored }, create(PEOPLE, "q", json!({"email": "e"}))];
        commit(&stage.db, moves).await.unwrap();
        let requests = stage.endpoint.requests("TransactWriteItems");
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0]["TransactItems"].as_array().unwrap().len(), 3);
        assert_eq!(stage.guards_and_terms().await.get("people.email").map(String::as_str), Some("q"));
    }

    async fn a_batch_that_only_checks_writes_nothing(stage) {
        let a = stage.create("a", json!({"count": 1})).await;
        let check = |id, expect| Operation::Check { key: Key::new(THINGS, id).unwrap(), expect };
        let fits = vec![check("a", Expect::Version(a.version)), check("b", Expect::Absent)];
        commit(&stage.db, fits).await.unwrap();
        let fails = vec![check("a", Expect::Exists), check("b", Expect::Exists)];
        let refused = commit(&stage.db, fails).await.unwrap_err();
        assert_eq!((refused.rejection().unwrap().operation, refused.rejection().unwrap().cause), (1, Cause::CheckFailed));
        let counts = ["TransactGetItems", "TransactWriteItems"].map(|name| stage.endpoint.requests(name).len());
        assert_eq!(counts, [2, 0]);
    }

    async fn a_lookup_of_a_free_value_sends_as_many_requests_as_one_of_a_held_value(stage) {
        commit(&stage.direct, vec![create(PEOPLE, "p", json!({"email": "held"}))]).await.unwrap();
        let mut sent = Vec::new();
        for email in ["held", "free"] {
            let before = stage.endpoint.requests("GetItem").len();
            let found = stage.db.lookup(&UniqueKey::new(PEOPLE, "email", [email]).unwrap()).await.unwrap();
            sent.push((found.is_some(), stage.endpoint.requests("GetItem").len() - before));
        }
        assert_eq!(sent, [(true, 2), (false, 2)]);
    }

    /// A migration that was abandoned leaves such a guard behind.
    async fn a_stale_guard_does_not_block_its_value(stage) {
        commit(&stage.direct, vec![create(PEOPLE, "p", json!({"email": "other"}))]).await.unwrap();
        for owner in ["p", "nobody"] {
            let guard = item([
                ("partition", bytes(b"guard\0people\0email\0e\0")),
                ("position", bytes(&[0])),
                ("owner", text(owner)),
            ]);
            let table = format!("{}-system", stage.tables.prefix);
            let put = stage.direct.client().put_item().table_name(table).set_item(Some(guard));
            put.send().await.unwrap();
            let unique = UniqueKey::new(PEOPLE, "email", ["e"]).unwrap();
            assert_eq!(stage.db.lookup(&unique).await, Ok(None));
            let id = format!("in-place-of-{owner}");
            commit(&stage.db, vec![create(PEOPLE, &id, json!({"email": "e"}))]).await.unwrap();
            let holder = stage.db.lookup(&unique).await.unwrap().unwrap();
            assert_eq!(holder.key.id(), id);
            commit(&stage.db, vec![Operation::Delete { previous: holder }]).await.unwrap();
        }
    }
}
