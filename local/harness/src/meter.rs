//! Counts what calls of DynamoDB cost: a proxy in front of DynamoDB Local.
//!
//! DynamoDB Local reports what a read has consumed. Its figures for transactions are wrong, so the units of writes are
//! computed here from the items before and after.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use switchyard_ambient::Ambient;
use switchyard_dynamodb::DynamoDb;

use crate::required;

/// What calls of DynamoDB have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// The number of calls.
    pub calls: u32,
    /// Read units: 1 for 4 KB that are read strongly, half as much for an eventual read, and twice as much in a
    /// transaction.
    pub reads: f64,
    /// Write units of tables: 1 for 1 KB, and twice as much in a transaction.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>
    pub writes: u64,
    /// Write units of indexes: 1 for 1 KB of an entry that is added, changed or removed, and the sum of both for an entry
    /// that moves.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations.Writes>
    pub index_writes: u64,
}

/// A proxy that counts the calls that pass through it.
#[derive(Clone, Debug)]
pub struct Meter {
    endpoint: String,
    total: Arc<Mutex<Cost>>,
}

impl Meter {
    /// Starts a proxy in front of the server of `TEST_DYNAMODB_ENDPOINT`.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let total = Arc::default();
        let proxy = Proxy {
            client: reqwest::Client::new(),
            server: required("TEST_DYNAMODB_ENDPOINT"),
            tables: Arc::default(),
            total: Arc::clone(&total),
        };
        let router = Router::new().fallback(forward).with_state(proxy);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { endpoint, total })
    }

    /// Connects to the tables with this prefix, through the meter.
    pub fn connect(&self, prefix: &str, ambient: Ambient) -> anyhow::Result<DynamoDb> {
        let credentials = Credentials::new("local", "local", None, None, "tests");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(&self.endpoint)
            .build();
        Ok(DynamoDb::with_config(prefix, &config, ambient)?)
    }

    /// Returns what has been counted since the last call of this method.
    pub fn take(&self) -> Cost {
        std::mem::take(&mut *self.total.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

const READS: &[&str] = &["GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"];
const WRITES: &[&str] = &["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"];

type Item = Map<String, Value>;

#[derive(Clone)]
struct Proxy {
    client: reqwest::Client,
    server: String,
    /// The descriptions of the tables.
    tables: Arc<Mutex<HashMap<String, Value>>>,
    total: Arc<Mutex<Cost>>,
}

async fn forward(State(proxy): State<Proxy>, headers: HeaderMap, body: Bytes) -> Response {
    match proxy.forward(&headers, &body).await {
        Ok(answer) => answer,
        Err(fault) => (StatusCode::BAD_GATEWAY, format!("{fault:#}")).into_response(),
    }
}

impl Proxy {
    async fn forward(&self, headers: &HeaderMap, body: &[u8]) -> anyhow::Result<Response> {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let call = target.rsplit('.').next().unwrap_or_default();
        let mut request: Value = serde_json::from_slice(body)?;
        let mut cost = Cost { calls: 1, ..Cost::default() };
        let answer = if READS.contains(&call) {
            request["ReturnConsumedCapacity"] = "TOTAL".into();
            let answer = self.send(headers.clone(), &request).await?;
            let consumed = &answer.document()?["ConsumedCapacity"];
            let tables = consumed.as_array().map_or(std::slice::from_ref(consumed), Vec::as_slice);
            cost.reads = tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum();
            answer
        } else if WRITES.contains(&call) {
            let mut writes = self.writes(call, &request, headers).await?;
            let answer = self.send(headers.clone(), &request).await?;
            for write in &mut writes {
                if answer.status.is_success() {
                    write.after = self.item(&write.table, &write.key, headers).await?;
                } else {
                    write.after.clone_from(&write.before); // a refused write costs as much as the stored item
                }
                cost.writes += write.units() * if call == "TransactWriteItems" { 2 } else { 1 };
                cost.index_writes += write.index_units();
            }
            answer
        } else {
            return self.send(headers.clone(), &request).await?.into_response();
        };
        let mut total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
        total.calls += cost.calls;
        total.reads += cost.reads;
        total.writes += cost.writes;
        total.index_writes += cost.index_writes;
        answer.into_response()
    }

    async fn send(&self, mut headers: HeaderMap, request: &Value) -> anyhow::Result<Answer> {
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::HOST);
        let sent = self.client.post(&self.server).headers(headers).body(request.to_string()).send().await?;
        Ok(Answer { status: sent.status(), headers: sent.headers().clone(), body: sent.bytes().await? })
    }

    /// Makes a call of its own, which is not counted.
    async fn call(&self, call: &str, request: &Value, headers: &HeaderMap) -> anyhow::Result<Value> {
        let mut headers = headers.clone();
        headers.insert("x-amz-target", format!("DynamoDB_20120810.{call}").parse()?);
        let answer = self.send(headers, request).await?;
        anyhow::ensure!(answer.status.is_success(), "{call}: {}", String::from_utf8_lossy(&answer.body));
        answer.document()
    }

    /// The writes of a request, with the items before it.
    async fn writes(&self, call: &str, request: &Value, headers: &HeaderMap) -> anyhow::Result<Vec<Write>> {
        let parts: Vec<&Value> = match request["TransactItems"].as_array() {
            Some(items) => items.iter().filter_map(|item| item.as_object()?.values().next()).collect(),
            None => vec![request],
        };
        let mut writes = Vec::new();
        for part in parts {
            let name = part["TableName"].as_str().with_context(|| format!("{call} names no table"))?;
            let table = self.table(name, headers).await?;
            let item = part.get("Key").or_else(|| part.get("Item")).and_then(Value::as_object);
            let item = item.with_context(|| format!("{call} names no item"))?;
            let keys = key_names(&table);
            let key = item.iter().filter(|(name, _)| keys.contains(&name.as_str()));
            let key = key.map(|(name, value)| (name.clone(), value.clone())).collect();
            let before = self.item(&table, &key, headers).await?;
            writes.push(Write { table, key, before, after: None });
        }
        Ok(writes)
    }

    async fn table(&self, name: &str, headers: &HeaderMap) -> anyhow::Result<Value> {
        if let Some(known) = self.tables.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(known.clone());
        }
        let described = self.call("DescribeTable", &json!({"TableName": name}), headers).await?;
        let table = described["Table"].clone();
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), table.clone());
        Ok(table)
    }

    async fn item(&self, table: &Value, key: &Item, headers: &HeaderMap) -> anyhow::Result<Option<Item>> {
        let get = json!({"TableName": table["TableName"], "Key": key, "ConsistentRead": true});
        let mut answer = self.call("GetItem", &get, headers).await?;
        match answer["Item"].take() {
            Value::Object(item) => Ok(Some(item)),
            _ => Ok(None),
        }
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn document(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    fn into_response(self) -> anyhow::Result<Response> {
        let mut answer = Response::builder().status(self.status);
        for (name, value) in self.headers.iter().filter(|(name, _)| **name != header::TRANSFER_ENCODING) {
            answer = answer.header(name, value);
        }
        answer.body(self.body.into()).context("the answer cannot be passed on")
    }
}

/// A write of an item, or a check of its state.
struct Write {
    /// The description of its table.
    table: Value,
    key: Item,
    before: Option<Item>,
    after: Option<Item>,
}

impl Write {
    fn units(&self) -> u64 {
        let larger = self.before.as_ref().map(size_of).max(self.after.as_ref().map(size_of));
        units_of(larger.unwrap_or_default())
    }

    fn index_units(&self) -> u64 {
        let indexes = self.table["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
        indexes.map(|index| self.units_of_index(index)).sum()
    }

    fn units_of_index(&self, index: &Value) -> u64 {
        let entry = |item: &Option<Item>| entry_of(&self.table, index, item.as_ref()?);
        let units = |entry: &Item| units_of(size_of(entry));
        match (entry(&self.before), entry(&self.after)) {
            (before, after) if before == after => 0,
            (Some(before), Some(after)) => {
                let stays = key_names(index).iter().all(|name| before.get(*name) == after.get(*name));
                if stays { units(&before).max(units(&after)) } else { units(&before) + units(&after) }
            }
            (before, after) => before.iter().chain(&after).map(units).sum(),
        }
    }
}

/// The names of the key attributes of a table or of an index.
fn key_names(described: &Value) -> Vec<&str> {
    let schema = described["KeySchema"].as_array().into_iter().flatten();
    schema.filter_map(|key| key["AttributeName"].as_str()).collect()
}

/// The entry of an item in an index, if the item has the keys of the index.
fn entry_of(table: &Value, index: &Value, item: &Item) -> Option<Item> {
    let keys = key_names(index);
    if !keys.iter().all(|name| item.contains_key(*name)) {
        return None;
    }
    let projection = &index["Projection"];
    if projection["ProjectionType"] == "ALL" {
        return Some(item.clone());
    }
    let further = projection["NonKeyAttributes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let names: Vec<&str> = keys.into_iter().chain(key_names(table)).chain(further).collect();
    let copied = item.iter().filter(|(name, _)| names.contains(&name.as_str()));
    Some(copied.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn units_of(bytes: u64) -> u64 {
    bytes.div_ceil(1024).max(1)
}

/// The size of an item.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
fn size_of(item: &Item) -> u64 {
    item.iter().map(|(name, value)| name.len() as u64 + size_of_value(value)).sum()
}

fn size_of_value(value: &Value) -> u64 {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else { return 0 };
    let text = value.as_str().unwrap_or_default();
    match kind.as_str() {
        "S" => text.len() as u64,
        "B" => STANDARD.decode(text).map_or(0, |bytes| bytes.len() as u64),
        "N" => (text.trim_start_matches('-').len() as u64).div_ceil(2) + 1,
        "L" => 3 + value.as_array().into_iter().flatten().map(|value| 1 + size_of_value(value)).sum::<u64>(),
        "M" => {
            let fields = value.as_object().into_iter().flatten();
            3 + fields.map(|(name, value)| 1 + name.len() as u64 + size_of_value(value)).sum::<u64>()
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(value: Value) -> Option<Item> {
        value.as_object().cloned()
    }

    fn write(before: Value, after: Value) -> (u64, u64) {
        let table = json!({
            "KeySchema": [{"AttributeName": "id"}],
            "GlobalSecondaryIndexes": [
                {"KeySchema": [{"AttributeName": "p"}], "Projection": {"ProjectionType": "KEYS_ONLY"}},
                {"KeySchema": [{"AttributeName": "p"}], "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]}},
                {"KeySchema": [{"AttributeName": "p"}], "Projection": {"ProjectionType": "ALL"}},
            ],
        });
        let write = Write { table, key: Item::new(), before: item(before), after: item(after) };
        (write.units(), write.index_units())
    }

    #[test]
    fn an_index_is_charged_for_what_its_entry_has() {
        let of = |p: &str, a: &str, rest: usize| json!({"id": {"S": "1"}, "p": {"S": p}, "a": {"S": a}, "rest": {"S": "x".repeat(rest)}});
        assert_eq!(write(Value::Null, of("p", "a", 10)), (1, 3), "three entries are added");
        assert_eq!(write(of("p", "a", 10), of("p", "a", 11)), (1, 1), "one entry has the attribute");
        assert_eq!(write(of("p", "a", 10), of("p", "b", 10)), (1, 2), "two entries have the attribute");
        assert_eq!(write(of("p", "a", 10), of("q", "a", 10)), (1, 6), "three entries move");
        assert_eq!(write(of("p", "a", 2000), of("p", "a", 10)), (2, 2), "the larger size counts");
        assert_eq!(write(of("p", "a", 10), Value::Null), (1, 3), "three entries are removed");
        assert_eq!(write(json!({"id": {"S": "1"}}), json!({"id": {"S": "1"}})), (1, 0), "a check");
    }

    #[test]
    fn sizes_are_those_of_the_documentation() {
        let sizes = [
            (json!({"S": "Ångström"}), 10),
            (json!({"N": "-1234567"}), 5),
            (json!({"B": "AAEC"}), 3),
            (json!({"BOOL": true}), 1),
            (json!({"NULL": true}), 1),
            (json!({"L": [{"S": "ab"}, {"BOOL": false}]}), 3 + 3 + 2),
            (json!({"M": {"key": {"S": "ab"}}}), 3 + 1 + 3 + 2),
        ];
        for (value, size) in sizes {
            assert_eq!(size_of_value(&value), size, "{value}");
        }
    }
}
