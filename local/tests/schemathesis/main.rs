//! Checks the running server against its OpenAPI document with schemathesis
//! (<https://schemathesis.readthedocs.io>). It generates valid and invalid requests from the document, alone and in
//! sequences, and checks that the answers conform.
//!
//! `SCHEMATHESIS_EXAMPLES` (5) is the number of random requests for each operation, and `SCHEMATHESIS_SEED` (1)
//! their seed. `SCHEMATHESIS_PHASES` sets the test phases. By default the bounds of every value (`coverage`) are
//! tested on only one backend, because most values beyond them never reach the database.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use switchyard_ambient::Ambient;
use switchyard_database::Db;
use switchyard_harness::identity::{ADMIN_ENVIRONMENT, identity_environment, sign_in_admin};
use switchyard_harness::process::{self, Process};
use switchyard_harness::required;
use switchyard_harness::store::{Backend, Store};
use switchyard_identity::testing;
use switchyard_jobs::testing::{store_cancelled, store_cron, store_dead, store_waiting};
use switchyard_kernel::Actor;

/// Starts a server whose access tokens outlast the longest run.
async fn start(store: &Store, folder: &Path) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder).env_clear().envs(store.environment()).envs(identity_environment()).envs([
        ("ACCESS_TOKEN_TTL", "24h"),
        ("PUBLIC_URL", "https://api.example.com"),
        ("RATE_LIMIT", "off"),
        ("RATE_LIMIT_USER", "off"),
        ("LOG", "error"),
    ]);
    command.envs(ADMIN_ENVIRONMENT);
    Process::serve(command).await.unwrap()
}

fn schemathesis(server: &Process, folder: &Path, access_token: &str, backend: Backend) -> Command {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = package.join("tests/schemathesis");
    let phases = match backend {
        Backend::Sqlite => "examples,coverage,fuzzing,stateful",
        Backend::Postgres | Backend::DynamoDb => "examples,fuzzing,stateful",
    };
    let setting = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let mut command = Command::new(required("TEST_SCHEMATHESIS"));
    command
        .arg("--config-file")
        .arg(here.join("schemathesis.toml"))
        // The file instead of its URL, because schemathesis would then leave out the operation that serves the
        // document.
        .arg("run")
        .arg(package.join("../functions/system/openapi.json"))
        .args(["--url", &server.base_url, "--phases", &setting("SCHEMATHESIS_PHASES", phases)])
        // `valid_data_acceptance` of hooks.py replaces the excluded check, which considers only the status and not the
        // reason.
        .args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"])
        .args(["--seed", &setting("SCHEMATHESIS_SEED", "1")])
        .args(["--max-examples", &setting("SCHEMATHESIS_EXAMPLES", "5")])
        .args(["--generation-database", "none", "--no-color"])
        .current_dir(folder)
        .envs([("BASE_URL", server.base_url.as_str()), ("ADMIN_ACCESS_TOKEN", access_token)])
        .env("ANSWERS", folder.join("answers"))
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", here)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Stores jobs in states that no request leads to, and a schedule. Returns path parameters for the operations that need them.
async fn samples(store: &Store) -> Value {
    let ambient = Ambient::system();
    let db = Db::new(store.open(ambient.clone()).await.unwrap(), ambient);
    let identity = switchyard_program::assemble(db, testing::kernel_settings(), testing::settings());
    let jobs = switchyard_program::jobs(&identity);
    let system = &identity.context("samples").by(Actor::System);
    let mut parameters = BTreeMap::<&str, Vec<Value>>::new();
    // More than one, because a valid request can be refused for the header with which it was generated.
    for _ in 0..8 {
        let name = json!({"name": store_cron(&jobs).await});
        let of_job = |id: String| json!({"id": id});
        for (operation, parameter) in [
            ("update_cron", name.clone()),
            ("run_cron", name),
            ("retry_job", of_job(store_cancelled(&jobs, system).await)),
            ("discard_job", of_job(store_dead(&jobs, system).await)),
            ("cancel_job", of_job(store_waiting(&jobs, system).await)),
            ("get_job", of_job(store_waiting(&jobs, system).await)),
            ("get_job_status", of_job(store_waiting(&jobs, system).await)),
        ] {
            parameters.entry(operation).or_default().push(parameter);
        }
    }
    json!(parameters)
}

async fn every_answer_conforms_to_the_document_on(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::fresh(backend).await.unwrap();
    let server = start(&store, folder.path()).await;
    let access_token = sign_in_admin(&server.base_url).await.unwrap();

    let mut command = schemathesis(&server, folder.path(), &access_token, backend);
    command.env("SAMPLES", samples(&store).await.to_string());
    let (code, output, errors) = process::run(command).unwrap();
    assert_eq!(code, Some(0), "{output}{errors}{}", server.output());
    println!("{output}");

    // A run in which no request succeeds would find no faults, so each operation must succeed at least once.
    let mut statuses: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    let answers = fs::read_to_string(folder.path().join("answers")).unwrap();
    for (operation, status) in answers.lines().map(|line| line.split_once(' ').unwrap()) {
        statuses.entry(operation.to_owned()).or_default().insert(status.parse().unwrap());
    }
    for operation in operations() {
        let statuses = statuses.get(&operation);
        let succeeded = statuses.is_some_and(|statuses| statuses.iter().any(|status| *status < 300));
        assert!(succeeded, "{operation} never succeeded: {statuses:?}");
    }
    let me = format!("{}/api/v1/auth/me", server.base_url);
    let me: Value =
        reqwest::Client::new().get(me).bearer_auth(&access_token).send().await.unwrap().json().await.unwrap();
    assert_eq!(me["role"], "admin", "the admin must still be an admin at the end: {me}");
}

/// The ids of all operations.
fn operations() -> Vec<String> {
    let document: Value = serde_json::from_str(switchyard_fn_system::OPENAPI_JSON).unwrap();
    let paths = document["paths"].as_object().unwrap().values();
    paths
        .flat_map(|path| path.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn every_answer_conforms_to_the_document_on_sqlite() {
    every_answer_conforms_to_the_document_on(Backend::Sqlite).await;
}

#[tokio::test]
async fn every_answer_conforms_to_the_document_on_postgres() {
    every_answer_conforms_to_the_document_on(Backend::Postgres).await;
}

#[tokio::test]
async fn every_answer_conforms_to_the_document_on_dynamodb() {
    every_answer_conforms_to_the_document_on(Backend::DynamoDb).await;
}
