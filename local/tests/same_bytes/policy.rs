//! Checks every call that a function makes on DynamoDB against what the template permits it.
//!
//! DynamoDB Local permits everything. So the calls of each function pass through a proxy that refuses, as AWS would, what the
//! function's statements in the template do not permit.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

/// How the resources of a statement begin, before the names of tables.
const TABLE: &str = ":table/${TablePrefix}-";

/// The statements of a function that are about DynamoDB.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy(Vec<Statement>);

#[derive(Clone, Debug, Default)]
struct Statement {
    denies: bool,
    /// Whether it is about all actions but these.
    is_about_others: bool,
    actions: Vec<String>,
    resources: Vec<String>,
}

impl Policy {
    /// Reads the policy of a function from the template.
    pub(crate) fn of(function: &str) -> anyhow::Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
        Self::parse(&std::fs::read_to_string(path)?, function)
    }

    fn parse(template: &str, function: &str) -> anyhow::Result<Self> {
        let (_, rest) = template
            .split_once(&format!("CodeUri: functions/{function}\n"))
            .with_context(|| format!("the template has no function {function}"))?;
        let (_, rest) = rest.split_once("Statement:\n").context("the function has statements")?;
        let (statements, _) = rest.split_once("Events:\n").context("events follow")?;
        let mut policy = Self::default();
        for line in statements.lines().map(str::trim) {
            if let Some(effect) = line.strip_prefix("- Effect: ") {
                policy.0.push(Statement { denies: effect == "Deny", ..Statement::default() });
                continue;
            }
            let statement = policy.0.last_mut().context("a statement begins with its effect")?;
            if line.starts_with("NotAction:") {
                statement.is_about_others = true;
            } else if let Some(action) = line.strip_prefix("- dynamodb:") {
                statement.actions.push(action.to_owned());
            } else if let Some((_, resource)) = line.split_once(TABLE) {
                statement.resources.push(resource.trim_end_matches('"').to_owned());
            }
        }
        Ok(policy)
    }

    /// As IAM decides: what is denied is refused, and so is what is not permitted.
    fn permits(&self, action: &str, resource: &str) -> bool {
        let applies = |statement: &&Statement| {
            let is_listed = statement.actions.iter().any(|listed| listed == action);
            let mut resources = statement.resources.iter();
            is_listed != statement.is_about_others
                && resources.any(|listed| match listed.strip_suffix('*') {
                    Some(start) => resource.starts_with(start),
                    None => listed == resource,
                })
        };
        let mut applying = self.0.iter().filter(applies).peekable();
        applying.peek().is_some() && applying.all(|statement| !statement.denies)
    }
}

/// A proxy in front of DynamoDB Local that refuses what a policy does not permit.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) endpoint: String,
    refused: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Proxy {
    client: reqwest::Client,
    server: String,
    policy: Policy,
    /// How the names of tables begin.
    prefix: String,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Guard {
    /// Starts a proxy in front of `server`, for tables whose names begin with `prefix`.
    pub(crate) async fn start(policy: Policy, server: String, prefix: String) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let refused = Arc::default();
        let client = reqwest::Client::new();
        let proxy = Proxy { client, server, policy, prefix, refused: Arc::clone(&refused) };
        let router = Router::new().fallback(forward).with_state(proxy);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { endpoint, refused })
    }

    /// What has been refused.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn forward(State(proxy): State<Proxy>, mut headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let call = target.rsplit('.').next().unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    for (action, resource) in needed(call, &request) {
        let resource = resource.strip_prefix(&proxy.prefix).unwrap_or(&resource);
        if !proxy.policy.permits(&action, resource) {
            let refused = format!("{action} on {resource}");
            proxy.refused.lock().unwrap_or_else(PoisonError::into_inner).push(refused);
            let fault =
                r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"not authorized"}"#;
            return (StatusCode::BAD_REQUEST, fault).into_response();
        }
    }
    headers.remove(header::HOST);
    match proxy.client.post(&proxy.server).headers(headers).body(body).send().await {
        Ok(answer) => {
            let (status, headers) = (answer.status(), answer.headers().clone());
            let mut response = Response::new(answer.bytes().await.unwrap_or_default().into());
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            response.headers_mut().remove(header::TRANSFER_ENCODING);
            response
        }
        Err(fault) => (StatusCode::BAD_GATEWAY, fault.to_string()).into_response(),
    }
}

/// The actions that AWS asks a policy for, each with its table or index.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
fn needed(call: &str, request: &Value) -> Vec<(String, String)> {
    let table = |part: &Value| part["TableName"].as_str().unwrap_or_default().to_owned();
    if let Some(tables) = request["RequestItems"].as_object() {
        return tables.keys().map(|table| (call.to_owned(), table.clone())).collect();
    }
    let Some(items) = request["TransactItems"].as_array() else {
        let index = request["IndexName"].as_str().map(|index| format!("/index/{index}"));
        return vec![(call.to_owned(), table(request) + &index.unwrap_or_default())];
    };
    let parts = items.iter().filter_map(Value::as_object).flatten();
    let of_part = |(kind, part): (&String, &Value)| {
        let action =
            if kind == "ConditionCheck" { "ConditionCheckItem".to_owned() } else { format!("{kind}Item") };
        (action, table(part))
    };
    parts.map(of_part).collect()
}

#[test]
fn a_policy_decides_as_iam_does() {
    let policy = Policy::parse(
        r#"
      CodeUri: functions/notes
          Statement:
            - Effect: Allow
              Action:
                - dynamodb:GetItem
                - dynamodb:DeleteItem
              Resource:
                - !Sub "arn:table/${TablePrefix}-notes"
                - !Sub "arn:x:table/${TablePrefix}-notes"
                - !Sub "arn:x:table/${TablePrefix}-log"
            - Effect: Allow
              Action:
                - dynamodb:Query
              Resource:
                - !Sub "arn:x:table/${TablePrefix}-notes/index/by_owner"
            - Effect: Deny
              NotAction:
                - dynamodb:GetItem
              Resource:
                - !Sub "arn:x:table/${TablePrefix}-log"
                - !Sub "arn:x:table/${TablePrefix}-log/*"
      Events:
"#,
        "notes",
    )
    .unwrap();
    for (action, resource, is_permitted) in [
        ("GetItem", "notes", true),
        ("DeleteItem", "notes", true),
        ("PutItem", "notes", false),
        ("GetItem", "log", true),
        ("DeleteItem", "log", false),
        ("Query", "notes", false),
        ("Query", "notes/index/by_owner", true),
        ("Query", "notes/index/by_time", false),
    ] {
        assert_eq!(policy.permits(action, resource), is_permitted, "{action} on {resource}");
    }
    let transaction = serde_json::json!({"TransactItems": [
        {"Put": {"TableName": "notes"}}, {"ConditionCheck": {"TableName": "log"}},
    ]});
    let of = |action: &str, table: &str| (action.to_owned(), table.to_owned());
    assert_eq!(
        needed("TransactWriteItems", &transaction),
        [of("PutItem", "notes"), of("ConditionCheckItem", "log")]
    );
}
