//! Tests behind PgBouncer in transaction mode, which gives each transaction another server process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use serde_json::json;
use switchyard_ambient::Ambient;
use switchyard_database::{
    Batch, Collection, Consistency, Database as _, Expect, Field, Index, Key, Operation, Query, Scan, Schema,
    Search, Unique, UniqueKey,
};
use switchyard_postgres::Postgres;

use common::TestSchema;
use common::pgbouncer::PgBouncer;

const PEOPLE: &Collection = &Collection::new("people")
    .fields(&[Field::string("email"), Field::string("team"), Field::integer("visits")])
    .indexes(&[Index::new("by_team").partition(&["team"]).sort(&["email"])])
    .uniques(&[Unique::new("email", &["email"])])
    .search(&["email"])
    .counters(&["visits"]);

/// The number of connections that PgBouncer has to the server. It is small, so that the clients share them.
const SERVER_CONNECTIONS: u32 = 3;
const REQUESTS: usize = 60;

fn key(number: usize) -> Key {
    Key::new(PEOPLE, format!("p{number}")).unwrap()
}

fn increment(number: usize) -> Operation {
    Operation::Increment { key: key(number), field: "visits", by: 1, at_least: None }
}

/// Does what a request may do: creates, reads in every way, replaces, and commits a batch.
async fn request(database: Arc<Postgres>, ambient: Ambient, number: usize) {
    let commit = async |operations| {
        database.commit(&Batch::new(operations, &ambient).unwrap()).await.unwrap();
    };
    let email = format!("person{number}@example.org");
    let body = json!({"email": email, "team": format!("team{}", number % 3), "visits": 0});
    let create =
        Operation::Create { key: key(number), body: body.as_object().unwrap().clone(), expires_at: None };
    commit(vec![create]).await;
    commit(vec![increment(number)]).await;
    let stored = database.get(&key(number)).await.unwrap().unwrap();
    assert_eq!(stored.body["visits"], json!(1));
    let unique = UniqueKey::new(PEOPLE, "email", [email.as_str()]).unwrap();
    assert_eq!(database.lookup(&unique).await.unwrap(), Some(stored.clone()));
    let mut body = stored.body.clone();
    body.insert("visits".to_owned(), json!(10));
    let replace = Operation::Replace { previous: stored.clone(), body, expires_at: None };
    // Two documents: a transaction of two requests.
    commit(vec![replace, Operation::Check { key: key(0), expect: Expect::Exists }]).await;
    commit(vec![increment(number), increment(0)]).await;
    commit(vec![
        Operation::Check { key: key(number), expect: Expect::Exists },
        Operation::Check { key: key(REQUESTS + 1), expect: Expect::Absent },
    ])
    .await;
    let found = database.search(&Search::new(PEOPLE, &email)).await.unwrap();
    assert_eq!(found.documents.iter().filter(|document| document.key == key(number)).count(), 1);
    let team = format!("team{}", number % 3);
    let page = database.query(&Query::new(PEOPLE, "by_team").partition([team.as_str()])).await.unwrap();
    assert!(!page.documents.is_empty());
    let many = database.get_many(&[key(number), key(REQUESTS + 1)], Consistency::Linearizable).await.unwrap();
    assert_eq!(many[0].as_ref().unwrap().body["visits"], json!(11));
    assert_eq!(many[1], None);
    database.ping().await.unwrap();
}

/// Sends requests at once through PgBouncer, with these parameters in the URL. All of them must succeed.
async fn serves_requests_with(parameters: &str) {
    let schema = TestSchema::create().await;
    let bouncer = PgBouncer::start(&schema, SERVER_CONNECTIONS).await;
    let ambient = Ambient::system();
    let database = Arc::new(Postgres::connect(&bouncer.url(parameters), ambient.clone()).await.unwrap());
    database.migrate(&Schema::new([PEOPLE]).unwrap()).await.unwrap();
    let body = json!({"email": "first@example.org", "team": "none", "visits": 0});
    let create = Operation::Create { key: key(0), body: body.as_object().unwrap().clone(), expires_at: None };
    database.commit(&Batch::new(vec![create], &ambient).unwrap()).await.unwrap();
    let requests: Vec<_> = (1..=REQUESTS)
        .map(|number| tokio::spawn(request(database.clone(), ambient.clone(), number)))
        .collect();
    for request in requests {
        request.await.unwrap();
    }
    let first = database.get(&key(0)).await.unwrap().unwrap();
    assert_eq!(first.body["visits"], json!(REQUESTS));
    let page = database.scan(&Scan::new(PEOPLE).limit(100)).await.unwrap();
    assert_eq!(page.documents.len(), REQUESTS + 1);
    leaves_no_settings(&bouncer).await;
    drop(database);
    bouncer.close(schema).await;
}

/// The connections of PgBouncer to the server also serve other programs.
async fn leaves_no_settings(bouncer: &PgBouncer) {
    let (client, connection) =
        tokio_postgres::connect(&bouncer.url(""), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..10 {
        let changed = "select count(*) from pg_settings where source = 'session' \
                       and name not in ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', \
                       'standard_conforming_strings')";
        let reply = client.simple_query(changed).await.unwrap();
        let count = reply.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        assert_eq!(count, Some("0"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooling_proxy_is_recognized_and_serves_sixty_requests_at_once() {
    serves_requests_with("").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooling_proxy_that_the_url_names_serves_sixty_requests_at_once() {
    serves_requests_with("pgbouncer=true").await;
}

/// PgBouncer before version 1.21 does not support prepared statements, contrary to the URL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prepared_statements_that_a_proxy_loses_are_given_up_at_the_first_error() {
    serves_requests_with("prepare=on").await;
}

#[tokio::test]
async fn options_that_a_proxy_refuses_are_reported_with_what_to_do_instead() {
    let schema = TestSchema::create().await;
    let bouncer = PgBouncer::start(&schema, 1).await;
    let url = bouncer.url("options=-c%20search_path%3Dshop");
    let database = Postgres::connect(&url, Ambient::system()).await.unwrap();
    let error = database.ping().await.unwrap_err().to_string();
    assert!(error.contains("unsupported startup parameter"), "{error}");
    assert!(
        error.contains("set them for the role, as in `alter role shop set search_path = shop`"),
        "{error}"
    );
    assert!(!error.contains("secret"));
    bouncer.close(schema).await;
}
