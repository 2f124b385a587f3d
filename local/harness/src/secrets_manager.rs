//! AWS Secrets Manager for tests: moto, behind a stand-in that can fail as the service does.

use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use serde_json::{Value, json};

use crate::process::{Process, free_port};
use crate::required;

/// The name of the only secret.
pub const NAME: &str = "switchyard/identity";

/// The service with one secret.
#[derive(Debug)]
pub struct SecretsManager {
    moto: Process,
    url: String,
    front: Arc<Front>,
    client: reqwest::Client,
}

#[derive(Debug)]
struct Front {
    moto: String,
    client: reqwest::Client,
    state: Mutex<FrontState>,
}

#[derive(Debug, Default)]
struct FrontState {
    fault: Option<(u16, &'static str)>,
    times: usize,
    requests: usize,
}

impl SecretsManager {
    /// Starts the service. The secret has these keys.
    pub async fn start(keys: &[(String, String)]) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(required("TEST_MOTO"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let mut moto = Process::start(command, format!("http://127.0.0.1:{port}"))?;
        moto.wait_until_it_answers("/moto-api/").await?;
        let client = reqwest::Client::new();
        let state = Mutex::default();
        let front = Arc::new(Front { moto: moto.base_url.clone(), client: client.clone(), state });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = axum::Router::new().fallback(answer).with_state(front.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let this = Self { moto, url, front, client };
        let secret =
            json!({"Name": NAME, "SecretString": object(keys), "ClientRequestToken": "0".repeat(32)});
        this.call("CreateSecret", &secret).await?;
        Ok(this)
    }

    /// The variables with which a program reads the secret.
    pub fn environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("SECRETS", format!("secretsmanager:{NAME}")),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.url.clone()),
            ("AWS_REGION", "eu-west-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    /// Replaces the keys of the secret.
    pub async fn put(&self, keys: &[(String, String)]) -> anyhow::Result<()> {
        self.put_text(&object(keys)).await
    }

    /// Replaces the secret by any text.
    pub async fn put_text(&self, text: &str) -> anyhow::Result<()> {
        self.call("PutSecretValue", &json!({"SecretId": NAME, "SecretString": text})).await
    }

    /// The next `times` requests fail with this status and this error.
    pub fn fail(&self, times: usize, status: u16, code: &'static str) {
        let mut state = self.front.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.fault, state.times) = (Some((status, code)), times);
    }

    /// The number of requests since the last call.
    pub fn take_requests(&self) -> usize {
        std::mem::take(&mut self.front.state.lock().unwrap_or_else(PoisonError::into_inner).requests)
    }

    async fn call(&self, operation: &str, body: &Value) -> anyhow::Result<()> {
        let request = self.client.post(&self.moto.base_url).body(body.to_string());
        let request = request
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("secretsmanager.{operation}"))
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/secretsmanager/aws4_request",
            );
        let answer = request.send().await?;
        anyhow::ensure!(answer.status().is_success(), "{}", answer.text().await?);
        Ok(())
    }
}

fn object(keys: &[(String, String)]) -> String {
    Value::Object(keys.iter().map(|(name, key)| (name.clone(), json!(key))).collect()).to_string()
}

async fn answer(State(front): State<Arc<Front>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let fault = {
        let mut state = front.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests += 1;
        let fault = state.fault.filter(|_| state.times > 0);
        state.times = state.times.saturating_sub(1);
        fault
    };
    if let Some((status, code)) = fault {
        let body = json!({"__type": code, "Message": "as the test wants it"}).to_string();
        return response(status, body.into());
    }
    let request = front.client.post(&front.moto).headers(headers).body(body).send();
    match request.await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            response(status, answer.bytes().await.unwrap_or_default())
        }
        Err(_) => response(502, Bytes::new()),
    }
}

fn response(status: u16, body: Bytes) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.1");
    response.body(Body::from(body)).unwrap_or_default()
}
