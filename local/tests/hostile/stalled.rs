//! A database that does not answer, or answers only after the request has timed out.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use switchyard_harness::app::PASSWORD;
use switchyard_harness::store::{Backend, Store};

use crate::Server;
use crate::proxy::{Proxy, Way};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
const SLACK: Duration = Duration::from_secs(3);

/// Starts a proxy in front of the store's server. Returns the variables that connect through the proxy.
async fn behind_a_proxy(store: &Store) -> (Proxy, Vec<(String, String)>) {
    let mut variables = store.environment();
    let place = variables.iter().position(|(name, _)| name == "AWS_ENDPOINT_URL_DYNAMODB").unwrap_or(0);
    let url = variables[place].1.clone();
    let after = url.find('@').or_else(|| url.find("//").map(|at| at + 1)).unwrap() + 1;
    let server = url[after..].split(['/', '?']).next().unwrap().to_owned();
    let proxy = Proxy::before(&server).await;
    variables[place].1 = url.replace(&server, &proxy.address);
    (proxy, variables)
}

/// Sends a request. Returns the status and body of the answer, and how long it took.
async fn ask(request: reqwest::RequestBuilder) -> (u16, Value, Duration) {
    let asked = Instant::now();
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default(), asked.elapsed())
}

async fn a_database_that_does_not_answer_is_reported_in_time_on(backend: Backend) {
    let store = Store::fresh(backend).await.unwrap();
    let (proxy, variables) = behind_a_proxy(&store).await;
    let mut settings: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    settings.push(("REQUEST_TIMEOUT", "3s"));
    let server = Server::start_by(Command::new(env!("CARGO_BIN_EXE_switchyard")), &settings).await;
    let client = reqwest::Client::new();
    let url = |path: &str| format!("{}{path}", server.process.base_url);
    let account = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    let register = client.post(url("/api/v1/auth/register")).json(&account);
    let (status, registered, _) = ask(register).await;
    assert_eq!(status, 201, "{registered}");
    let token = registered["access_token"].as_str().unwrap();
    let me = || client.get(url("/api/v1/auth/me")).bearer_auth(token);
    assert_eq!(ask(me()).await.0, 200);

    for way in [Way::Stalled, Way::Cut] {
        proxy.set(way);
        let login =
            || client.post(url("/api/v1/auth/login")).json(&json!({"email": "a@b.co", "password": "x"}));
        // 40 concurrent requests, more than the pool has connections.
        let asking = futures::future::join_all((0..20).flat_map(|_| [me(), login()]).map(ask));
        let alive = async {
            for _ in 0..10 {
                let (status, _, took) = ask(client.get(url("/healthz"))).await;
                assert_eq!(status, 200);
                assert!(took < Duration::from_secs(1), "{way:?}: /healthz took {took:?}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let (answers, ()) = futures::future::join(asking, alive).await;
        for (status, body, took) in answers {
            assert_eq!(
                (status, body["error"]["code"].as_str()),
                (503, Some("UNAVAILABLE")),
                "{way:?}: {body}"
            );
            assert!(took < REQUEST_TIMEOUT + SLACK, "{way:?}: {took:?}");
        }
        for path in ["/readyz", "/health"] {
            let (status, body, took) = ask(client.get(url(path))).await;
            assert_eq!(status, 503, "{way:?}: {path} {body}");
            assert!(took < REQUEST_TIMEOUT + SLACK, "{way:?}: {path} {took:?}");
        }

        proxy.set(Way::Open);
        let deadline = Instant::now() + Duration::from_secs(15);
        while ask(me()).await.0 != 200 {
            assert!(Instant::now() < deadline, "{way:?}: the server does not recover");
        }
        assert_eq!(ask(client.get(url("/readyz"))).await.0, 200, "{way:?}");
    }
    assert!(server.folder.path().is_dir());
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_reported_in_time_on_postgres() {
    a_database_that_does_not_answer_is_reported_in_time_on(Backend::Postgres).await;
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_reported_in_time_on_dynamodb() {
    a_database_that_does_not_answer_is_reported_in_time_on(Backend::DynamoDb).await;
}
