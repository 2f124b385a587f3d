//! The test setup: tables of its own behind a proxy endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use switchyard_ambient::{Ambient, ManualClock, SystemRandomness, Timestamp};
use switchyard_database::{
    Addition, Batch, Body, Collection, Database as _, Document, Entity, Field, Index, Key, Operation, Result,
    Schema, Unique,
};
use switchyard_dynamodb::DynamoDb;

use crate::common::{Tables, config, endpoint};
use crate::endpoint::Endpoint;

pub(crate) const THINGS: &Collection = &Collection::new("things")
    .fields(&[Field::string("name"), Field::integer("count"), Field::integer("rank")])
    .indexes(&[Index::new("by_rank").partition(&["name"]).sort(&["rank"])])
    .counters(&["count"]);
pub(crate) const PEOPLE: &Collection =
    &Collection::new("people").fields(&[Field::string("email")]).uniques(&[Unique::new("email", &["email"])]);

pub(crate) const HITS: &Collection =
    &Collection::new("hits").fields(&[Field::integer("count")]).tally("count").expiring();

/// The addition of a number to a tally of `HITS`, which expires in as many seconds.
pub(crate) fn addition(id: &str, count: i64, seconds: u64, ambient: &Ambient) -> Addition {
    let content = body(json!({"count": count, "page": "a"}));
    let expires_at = ambient.now() + Duration::from_secs(seconds);
    Addition::new(Key::new(HITS, id).unwrap(), content, Some(expires_at), ambient).unwrap()
}

/// A document of `PEOPLE`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) email: String,
}

impl Person {
    pub(crate) fn new(id: &str, email: &str) -> Self {
        Self { id: id.to_owned(), email: email.to_owned() }
    }
}

impl Entity for Person {
    const COLLECTION: &'static Collection = PEOPLE;

    fn id(&self) -> &str {
        &self.id
    }
}

/// 2100-01-01T00:00:00Z, so late that DynamoDB's own expiry removes nothing.
pub(crate) const START: Timestamp = Timestamp::from_seconds(4_102_444_800);

pub(crate) type Item = std::collections::HashMap<String, AttributeValue>;

/// Tables behind a proxy endpoint.
pub(crate) struct Stage {
    pub(crate) tables: Tables,
    pub(crate) endpoint: Endpoint,
    pub(crate) clock: ManualClock,
    /// Connects through the endpoint.
    pub(crate) db: DynamoDb,
    /// Connects through the endpoint, too, and waits for requests that are held up there.
    pub(crate) patient: DynamoDb,
    /// Connects to DynamoDB Local directly.
    pub(crate) direct: DynamoDb,
}

impl Stage {
    /// Creates a stage without tables.
    pub(crate) async fn empty() -> Self {
        let tables = Tables::new();
        let clock = ManualClock::at(START);
        let ambient = Ambient::new(clock.clone(), SystemRandomness);
        let endpoint = Endpoint::before(&endpoint()).await;
        let direct = tables.connect(ambient.clone()).await;
        let db = connect_within(&tables, &endpoint, Duration::from_millis(300), ambient.clone()).await;
        let patient = connect_within(&tables, &endpoint, Duration::from_secs(60), ambient).await;
        Self { tables, endpoint, clock, db, patient, direct }
    }

    /// The clock and randomness of every handle.
    pub(crate) fn ambient(&self) -> Ambient {
        Ambient::new(self.clock.clone(), SystemRandomness)
    }

    /// Creates a stage with tables for `THINGS` and `PEOPLE`.
    pub(crate) async fn new() -> Self {
        let stage = Self::empty().await;
        stage.migrate(&[THINGS, PEOPLE]).await.unwrap();
        stage
    }

    /// Migrates through the direct connection.
    pub(crate) async fn migrate(&self, collections: &[&'static Collection]) -> Result<()> {
        self.direct.migrate(&Schema::new(collections.iter().copied()).unwrap()).await
    }

    pub(crate) async fn create(&self, id: &str, body: Value) -> Document {
        commit(&self.direct, vec![create(THINGS, id, body)]).await.unwrap();
        self.stored(THINGS, id).await.unwrap()
    }

    pub(crate) async fn stored(&self, collection: &'static Collection, id: &str) -> Option<Document> {
        self.direct.get(&Key::new(collection, id).unwrap()).await.unwrap()
    }

    pub(crate) async fn count(&self, id: &str) -> i64 {
        self.stored(THINGS, id).await.unwrap().body["count"].as_i64().unwrap()
    }

    /// Returns every item of a table.
    pub(crate) async fn items(&self, table: &str) -> Vec<Item> {
        let table = format!("{}-{table}", self.tables.prefix);
        let scan = self.direct.client().scan().table_name(table).consistent_read(true);
        scan.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap()
    }

    /// Returns all guards and search terms: their `about` and their `owner`.
    pub(crate) async fn guards_and_terms(&self) -> BTreeMap<String, String> {
        let items = self.items("system").await;
        let text = |item: &Item, name: &str| Some(item.get(name)?.as_s().unwrap().clone());
        items.iter().filter_map(|item| Some((text(item, "about")?, text(item, "owner")?))).collect()
    }
}

async fn connect_within(tables: &Tables, endpoint: &Endpoint, limit: Duration, ambient: Ambient) -> DynamoDb {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(limit).build();
    let config = config(&endpoint.url).await.to_builder().timeout_config(timeouts).build();
    DynamoDb::with_config(&tables.prefix, &config, ambient).unwrap()
}

pub(crate) fn body(value: Value) -> Body {
    value.as_object().unwrap().clone()
}

pub(crate) fn create(collection: &'static Collection, id: &str, content: Value) -> Operation {
    Operation::Create { key: Key::new(collection, id).unwrap(), body: body(content), expires_at: None }
}

pub(crate) fn replace(previous: &Document, content: Value) -> Operation {
    Operation::Replace { previous: previous.clone(), body: body(content), expires_at: None }
}

pub(crate) fn increment(id: &str) -> Operation {
    Operation::Increment { key: Key::new(THINGS, id).unwrap(), field: "count", by: 1, at_least: None }
}

pub(crate) async fn commit(db: &DynamoDb, operations: Vec<Operation>) -> Result<()> {
    db.commit(&Batch::new(operations, &Ambient::system()).unwrap()).await.map(drop)
}

/// Runs a test on a stage and drops its tables afterwards, even if the test fails.
pub(crate) async fn run<F>(stage: Stage, test: impl FnOnce(Arc<Stage>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let stage = Arc::new(stage);
    let outcome = tokio::spawn(test(Arc::clone(&stage))).await;
    stage.tables.drop_all().await;
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}

/// Defines tests that run on a stage: `on_a_stage! { Stage::new; async fn sentence(stage) { … } … }`.
macro_rules! on_a_stage {
    ($set_up:path; $($(#[$attribute:meta])* async fn $name:ident($stage:ident) $body:block)*) => {
        $(
            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $crate::stage::run($set_up().await, |$stage| async move { $body }).await;
            }
        )*
    };
}

pub(crate) use on_a_stage;
