//! Tests the binary under the Lambda emulator, on the databases that it uses on AWS.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use switchyard_ambient::Ambient;
use switchyard_database::Db;
use switchyard_harness::emulator::Emulator;
use switchyard_harness::identity::{access_token_of_admin, identity_environment};
use switchyard_harness::process;
use switchyard_harness::store::{Backend, Store};
use switchyard_harness::template::assert_alarms_can_go_off;
use switchyard_identity::testing;
use switchyard_jobs::{DeadJobs, JobState};
use switchyard_kernel::Actor;
use switchyard_program::{assemble, jobs};

const BINARY: &str = env!("CARGO_BIN_EXE_switchyard-fn-worker");

fn environment(store: &Store) -> Vec<(String, String)> {
    let key = identity_environment().into_iter().find(|(name, _)| name == "AUDIT_KEY");
    store.environment().into_iter().chain(key).collect()
}

async fn a_tick_runs_what_is_due_on(backend: Backend) {
    let store = Store::migrated(backend).await.unwrap();
    access_token_of_admin(&store).await.unwrap(); // sets the secrets up
    let ambient = Ambient::system();
    let db = Db::new(store.open(ambient.clone()).await.unwrap(), ambient);
    let identity = assemble(db, testing::kernel_settings(), testing::settings());
    let jobs = jobs(&identity);
    let system = &identity.context("test").by(Actor::System);
    let dead = DeadJobs { kind: None, before: system.now };
    let enqueued = jobs.retry_dead(system, &dead).await.unwrap();

    let function = Emulator::start(Path::new(BINARY), &environment(&store)).await.unwrap();
    let result = function.invoke_event(&json!({"run": "tick"})).await.unwrap();
    assert_eq!(result, Value::Null, "{}", function.output());
    let job = jobs.get(system, &enqueued.id).await.unwrap().value;
    assert_eq!((job.state, job.result), (JobState::Succeeded, Some(json!({"changed": 0}))));
    assert_alarms_can_go_off("worker", &function.output()).unwrap();

    let result = function.invoke_event(&json!({"run": "nothing"})).await.unwrap();
    assert!(result["errorMessage"].as_str().unwrap().contains("no schedule `nothing`"), "{result}");
}

#[tokio::test]
async fn a_tick_runs_what_is_due_on_dynamodb() {
    a_tick_runs_what_is_due_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn a_tick_runs_what_is_due_on_postgres() {
    a_tick_runs_what_is_due_on(Backend::Postgres).await;
}

#[tokio::test]
async fn outside_of_lambda_it_says_what_to_use_instead() {
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let mut command = Command::new(BINARY);
    command.envs(environment(&store));
    let (code, _, errors) = process::run(command).unwrap();
    assert_eq!(code, Some(1));
    assert!(errors.contains("elsewhere use the commands of `switchyard`"), "{errors}");
}
