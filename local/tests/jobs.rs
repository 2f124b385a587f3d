//! Tests that servers run jobs: beside the requests, and as processes of their own.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use switchyard_harness::identity::{ADMIN_ENVIRONMENT, identity_environment, sign_in_admin};
use switchyard_harness::process::Process;
use switchyard_harness::store::{Backend, Store};

fn switchyard(folder: &Path, store: &Store, worker: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder).env_clear().envs(store.environment()).envs(identity_environment());
    command.envs(ADMIN_ENVIRONMENT).env("WORKER", worker).env("JOBS_POLL", "1s");
    command
}

/// A client of a server, signed in as an admin.
struct Admin<'a> {
    server: &'a Process,
    token: String,
}

impl<'a> Admin<'a> {
    async fn of(server: &'a Process) -> Self {
        Self { server, token: sign_in_admin(&server.base_url).await.unwrap() }
    }

    /// Asks for something that a job does. Returns where its state can be read.
    async fn cause_a_job(&self) -> String {
        let url = format!("{}/api/v1/admin/jobs/dead/retry", self.server.base_url);
        let request = reqwest::Client::new().post(url).bearer_auth(&self.token).json(&json!({}));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 202);
        let accepted: Value = answer.json().await.unwrap();
        accepted["status_url"].as_str().unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> Value {
        let request = reqwest::Client::new().get(format!("{}{path}", self.server.base_url));
        request.bearer_auth(&self.token).send().await.unwrap().json().await.unwrap()
    }

    /// Waits until a job has succeeded.
    async fn wait_for(&self, status_url: &str) -> Value {
        for _ in 0..200 {
            let status = self.get(status_url).await;
            if status["state"] == "succeeded" {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the job has not succeeded: {}", self.get(status_url).await);
    }
}

async fn a_server_runs_jobs_beside_the_requests_on(backend: Backend) {
    let (folder, store) = (tempfile::tempdir().unwrap(), Store::fresh(backend).await.unwrap());
    let mut server = Process::serve(switchyard(folder.path(), &store, "on")).await.unwrap();
    let admin = Admin::of(&server).await;
    let status = admin.wait_for(&admin.cause_a_job().await).await;
    assert_eq!(status["result"], json!({"changed": 0}));
    let metrics = reqwest::get(format!("{}/metrics", server.base_url)).await.unwrap().text().await.unwrap();
    let counted = r#"jobs_total{kind="jobs.retry_dead",outcome="succeeded"} 1"#;
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
    assert_eq!(server.terminate().unwrap(), Some(0));
}

#[tokio::test]
async fn a_server_runs_jobs_beside_the_requests_on_sqlite() {
    a_server_runs_jobs_beside_the_requests_on(Backend::Sqlite).await;
}

#[tokio::test]
async fn a_server_runs_jobs_beside_the_requests_on_postgres() {
    a_server_runs_jobs_beside_the_requests_on(Backend::Postgres).await;
}

#[tokio::test]
async fn a_server_runs_jobs_beside_the_requests_on_dynamodb() {
    a_server_runs_jobs_beside_the_requests_on(Backend::DynamoDb).await;
}

/// A server without a worker leaves its jobs to processes that answer no requests. One of these is killed, and another one
/// takes its place.
#[tokio::test]
async fn processes_of_their_own_run_the_jobs_of_a_server() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Store::fresh(Backend::Postgres).await.unwrap());
    let server = Process::serve(switchyard(folder.path(), &store, "off")).await.unwrap();
    let admin = Admin::of(&server).await;
    let first = admin.cause_a_job().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(admin.get(&first).await["state"], "queued");

    let worker = Process::start_server(switchyard(folder.path(), &store, "only")).unwrap();
    admin.wait_for(&first).await;
    assert!(reqwest::get(format!("{}/healthz", worker.base_url)).await.is_err(), "it does not listen");
    drop(worker); // kills it

    let second = admin.cause_a_job().await;
    let mut worker = Process::start_server(switchyard(folder.path(), &store, "only")).unwrap();
    admin.wait_for(&second).await;
    let workers = admin.get("/api/v1/admin/jobs/stats").await["workers"].as_array().unwrap().len();
    assert_eq!(workers, 2, "the one that was killed is listed for a minute");
    assert_eq!(worker.terminate().unwrap(), Some(0));
    let workers = admin.get("/api/v1/admin/jobs/stats").await["workers"].as_array().unwrap().len();
    assert_eq!(workers, 1);
}
