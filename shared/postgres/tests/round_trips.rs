//! Tests of the number of round trips of each call.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use serde_json::json;
use switchyard_ambient::Ambient;
use switchyard_database::{
    Addition, Batch, Collection, Consistency, Database as _, Error, Expect, Field, Index, Key, Operation,
    Schema, Unique,
};
use switchyard_postgres::Postgres;

use common::proxy::Proxy;
use common::{TestSchema, until};

const PEOPLE: &Collection = &Collection::new("people")
    .fields(&[Field::string("email"), Field::string("name"), Field::integer("visits")])
    .indexes(&[Index::new("by_name").sort(&["name"])])
    .uniques(&[Unique::new("email", &["email"])])
    .search(&["name"])
    .counters(&["visits"])
    .expiring();

fn key(id: &str) -> Key {
    Key::new(PEOPLE, id).unwrap()
}

fn create(id: &str, email: &str) -> Operation {
    let body = json!({"email": email, "name": format!("name of {id}"), "visits": 1});
    Operation::Create { key: key(id), body: body.as_object().unwrap().clone(), expires_at: None }
}

/// Counts the messages that a call sends to the server, once its statements are prepared.
#[tokio::test]
async fn a_single_write_takes_one_round_trip_and_a_batch_two() {
    let schema = TestSchema::create().await;
    let proxy = Proxy::start().await;
    let ambient = Ambient::system();
    let url = schema.at(&proxy.url(), "max_connections=1");
    let database = Postgres::connect(&url, ambient.clone()).await.unwrap();
    database.migrate(&Schema::new([PEOPLE]).unwrap()).await.unwrap();
    let commit = async |operations| {
        proxy.take_sent();
        let outcome = database.commit(&Batch::new(operations, &ambient).unwrap()).await;
        (outcome.is_ok(), proxy.take_sent())
    };
    database.ping().await.unwrap();
    // The first use of a statement also prepares it, which needs no additional round trip.
    for round in 0..2 {
        let id = format!("a{round}");
        assert_eq!(commit(vec![create(&id, &id)]).await, (true, 1), "create");
        let previous = database.get(&key(&id)).await.unwrap().unwrap();
        let mut body = previous.body.clone();
        body.insert("email".to_owned(), json!(format!("new {id}")));
        body.insert("name".to_owned(), json!("Renamed"));
        let replace = Operation::Replace { previous, body, expires_at: None };
        assert_eq!(commit(vec![replace.clone()]).await, (true, 1), "replace");
        let increment = Operation::Increment { key: key(&id), field: "visits", by: 1, at_least: Some(0) };
        assert_eq!(commit(vec![increment.clone()]).await, (true, 1), "increment");
        let batch = vec![increment, create(&format!("b{round}"), &format!("b{round}"))];
        assert_eq!(commit(batch).await, (true, 2), "batch");
        let check = |id: &str, expect| Operation::Check { key: key(id), expect };
        let checks = vec![check(&id, Expect::Exists), check("nobody", Expect::Absent)];
        assert_eq!(commit(checks).await, (true, 1), "checks");
        // One more to find out why, and the rollback, for whose answer the call does not wait.
        let (is_applied, mut sent) = commit(vec![replace]).await;
        assert!(!is_applied && (2..=3).contains(&sent), "a rejected replace: {sent}");
        until(async || {
            sent += proxy.take_sent();
            sent == 3
        })
        .await;
        let previous = database.get(&key(&id)).await.unwrap().unwrap();
        assert_eq!(commit(vec![Operation::Delete { previous }]).await, (true, 1), "delete");
        proxy.take_sent();
        let keys: Vec<Key> = (0..100).map(|number| key(&format!("a{number}"))).collect();
        database.get_many(&keys, Consistency::Linearizable).await.unwrap();
        assert_eq!(proxy.take_sent(), 1, "get_many");
    }
    schema.drop().await;
}

#[tokio::test]
async fn an_addition_takes_one_round_trip() {
    const HITS: &Collection =
        &Collection::new("hits").fields(&[Field::integer("count")]).tally("count").expiring();
    let schema = TestSchema::create().await;
    let proxy = Proxy::start().await;
    let ambient = Ambient::system();
    let url = schema.at(&proxy.url(), "max_connections=1");
    let database = Postgres::connect(&url, ambient.clone()).await.unwrap();
    database.migrate(&Schema::new([HITS]).unwrap()).await.unwrap();
    database.ping().await.unwrap();
    let past = Some(ambient.now() - Duration::from_secs(1));
    // The first one creates the document, the second one adds to it, the fourth one replaces an expired one.
    for (expires_at, sum) in [(None, 2), (None, 4), (past, 6), (None, 2)] {
        let body = json!({ "count": 2 }).as_object().unwrap().clone();
        let addition = Addition::new(Key::new(HITS, "h").unwrap(), body, expires_at, &ambient).unwrap();
        proxy.take_sent();
        assert_eq!(database.add(&addition).await, Ok(sum));
        assert_eq!(proxy.take_sent(), 1);
    }
    schema.drop().await;
}

#[tokio::test]
async fn an_unreachable_server_is_reported_in_one_sentence() {
    let url = "postgres://someone:secret@127.0.0.1:1/nothing?connect_timeout=1";
    let database = Postgres::connect(url, Ambient::system()).await.unwrap();
    let error = database.ping().await.unwrap_err();
    let expected = "PostgreSQL at 127.0.0.1:1 cannot be reached: error connecting to server: Connection refused (os \
                    error 111)";
    assert_eq!(error, Error::Unavailable(expected.to_owned()));
    assert!(!format!("{database:?}").contains("secret"));
}

#[tokio::test]
async fn a_refused_login_is_reported_without_the_password() {
    let url = common::server_url().replacen("switchyard:switchyard@", "switchyard:wrong%20secret@", 1);
    let database = Postgres::connect(&url, Ambient::system()).await.unwrap();
    let error = database.ping().await.unwrap_err();
    let Error::Internal(message) = &error else { panic!("{error:?}") };
    let expected = "refuses the connection: password authentication failed for user \"switchyard\" (28P01); check the user \
                    and the password in the database URL, and pg_hba.conf of the server";
    assert!(message.ends_with(expected), "{message}");
    assert!(!message.contains("secret"));
}

/// The address is that of this machine in a form that is not known as such. The server for the tests has no
/// certificate.
#[tokio::test]
async fn a_server_without_tls_on_another_machine_is_refused_unless_the_url_allows_it() {
    let url = common::server_url().replacen("127.0.0.1", "[::ffff:127.0.0.1]", 1);
    let database = Postgres::connect(&url, Ambient::system()).await.unwrap();
    let Err(Error::Unavailable(message)) = database.ping().await else { panic!("the server has no TLS") };
    let expected = "error performing TLS handshake: server does not support TLS; add sslmode=disable to the \
                    database URL if the network between them is trusted";
    assert!(message.ends_with(expected), "{message}");
    for mode in ["disable", "prefer"] {
        let database = Postgres::connect(&format!("{url}?sslmode={mode}"), Ambient::system()).await.unwrap();
        assert_eq!(database.ping().await, Ok(()), "{mode}");
    }
}
