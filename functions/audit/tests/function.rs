//! Tests the binary under the Lambda emulator, on the databases that it uses on AWS. It gets the key of the audit log and no
//! other secret.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use switchyard_ambient::Ambient;
use switchyard_database::{Batch, Scan};
use switchyard_harness::emulator::Emulator;
use switchyard_harness::identity::{access_token_of_admin, identity_environment};
use switchyard_harness::process;
use switchyard_harness::store::{Backend, Store};
use switchyard_harness::template::assert_alarms_can_go_off;

const BINARY: &str = env!("CARGO_BIN_EXE_switchyard-fn-audit");

fn environment(store: &Store) -> Vec<(String, String)> {
    let key = identity_environment().into_iter().find(|(name, _)| name == "AUDIT_KEY");
    // A level that silences everything else must not silence anchors.
    let level = ("LOG".to_owned(), "error".to_owned());
    store.environment().into_iter().chain(key).chain([level]).collect()
}

/// Runs a schedule. Returns its result, and what was printed.
async fn run(function: &Emulator, name: &str) -> (Value, String) {
    let result = function.invoke_event(&json!({"run": name})).await.unwrap();
    (result, function.output())
}

/// Removes an entry of the log, as somebody might who has the database.
async fn remove_an_entry(store: &Store) {
    let db = store.open(Ambient::system()).await.unwrap();
    let entries = switchyard_program::collections().find(|collection| collection.name == "audit_entries");
    let page = db.scan(&Scan::new(entries.unwrap())).await.unwrap();
    let removal = Batch::of_expired(page.documents[0].clone()).unwrap();
    db.commit(&removal).await.unwrap();
}

/// The lines of a text that are JSON with this member.
fn lines_with(text: &str, member: &str) -> Vec<Value> {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line.get(member).is_some()).collect()
}

async fn schedules_are_followed_on(backend: Backend) {
    let store = Store::migrated(backend).await.unwrap();
    access_token_of_admin(&store).await.unwrap(); // leaves entries in the log
    let function = Emulator::start(Path::new(BINARY), &environment(&store)).await.unwrap();

    let (result, anchored) = run(&function, "anchor").await;
    assert_eq!(result, Value::Null, "{anchored}");
    let [anchor] = &lines_with(&anchored, "anchored_at")[..] else { panic!("one anchor: {anchored}") };
    assert!(!anchor["ends"].as_array().unwrap().is_empty(), "{anchor}");
    assert_eq!(lines_with(&anchored, "AuditAnchors").len(), 1, "{anchored}");

    let (result, verified) = run(&function, "verify").await;
    assert_eq!(result, Value::Null, "{verified}");
    let [counts] = &lines_with(&verified, "AuditLogsIntact")[..] else { panic!("one line: {verified}") };
    assert_eq!((&counts["AuditLogsIntact"], &counts["AuditLogsBroken"]), (&json!(1), &json!(0)));
    assert!(counts["AuditEntriesVerified"].as_u64().unwrap() > 0, "{counts}");
    assert_alarms_can_go_off("audit", &(anchored + &verified)).unwrap();

    let (result, printed) = run(&function, "nothing").await;
    assert!(result["errorMessage"].as_str().unwrap().contains("no schedule `nothing`"), "{result} {printed}");

    remove_an_entry(&store).await;
    let (result, verified) = run(&function, "verify").await;
    assert_eq!(result, Value::Null, "{verified}");
    let [counts] = &lines_with(&verified, "AuditLogsIntact")[..] else { panic!("one line: {verified}") };
    assert_eq!((&counts["AuditLogsIntact"], &counts["AuditLogsBroken"]), (&json!(0), &json!(1)));
    assert!(verified.contains("the audit log is broken: this entry is missing"), "{verified}");
}

#[tokio::test]
async fn schedules_are_followed_on_dynamodb() {
    schedules_are_followed_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn schedules_are_followed_on_postgres() {
    schedules_are_followed_on(Backend::Postgres).await;
}

#[tokio::test]
async fn another_key_than_that_of_the_database_is_refused() {
    let store = Store::migrated(Backend::Postgres).await.unwrap();
    access_token_of_admin(&store).await.unwrap();
    let mut environment = environment(&store);
    for (_, key) in environment.iter_mut().filter(|(name, _)| name == "AUDIT_KEY") {
        *key = "0123456789abcdef".repeat(4);
    }
    let function = Emulator::start(Path::new(BINARY), &environment).await.unwrap();
    // A process that has ended answers nothing.
    assert!(function.invoke_event(&json!({"run": "anchor"})).await.is_err());
    let printed = function.output();
    assert!(lines_with(&printed, "anchored_at").is_empty(), "{printed}");
    assert!(printed.contains("AUDIT_KEY"), "{printed}");
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
