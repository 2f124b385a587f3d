//! Tests `switchyard load`, the import of accounts from files, on each database.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::path::Path;
use std::process::Command;

use switchyard_harness::process;
use switchyard_harness::store::{Backend, Store};

fn switchyard(folder: &Path, store: &Store, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder).env_clear().envs(store.environment()).args(arguments);
    command.env("SECRETS", "file:secrets");
    command
}

/// The last line that the import prints.
fn summary(errors: &str) -> &str {
    errors.trim_end().lines().last().unwrap_or_default()
}

async fn bad_lines_are_reported_and_a_second_run_imports_nothing_twice_on(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::fresh(backend).await.unwrap();
    let mut sample = process::run(switchyard(folder.path(), &store, &["sample", "1200"])).unwrap().1;
    sample.push_str("{\"email\":\"no address\",\"name\":\"X\"}\n");
    sample.push_str("not json\n");
    sample.push_str("{\"email\":\"late@example.org\",\"name\":\"Late\",\"roles\":[\"emperor\"]}\n");
    sample.push_str("{\"email\":\"PERSON-0000003@example.org\",\"name\":\"Somebody else\"}\n");
    let half: String = sample.lines().take(600).flat_map(|line| [line, "\n"]).collect();
    std::fs::write(folder.path().join("half.ndjson"), half).unwrap();
    std::fs::write(folder.path().join("all.ndjson"), sample).unwrap();

    let (code, _, errors) =
        process::run(switchyard(folder.path(), &store, &["load", "half.ndjson"])).unwrap();
    assert_eq!(code, Some(0), "{errors}");
    assert!(summary(&errors).starts_with("600 imported, 0 there already, 0 refused"), "{errors}");

    let (code, _, errors) = process::run(switchyard(folder.path(), &store, &["load", "all.ndjson"])).unwrap();
    assert_eq!(code, Some(2), "exit code 2 reports refused lines: {errors}");
    assert!(summary(&errors).starts_with("600 imported, 601 there already, 3 refused"), "{errors}");
    for line in ["line 1201: email must be", "line 1202: is not an account", "line 1203: "] {
        assert!(errors.contains(line), "{line}: {errors}");
    }

    let (code, _, errors) = process::run(switchyard(folder.path(), &store, &["load", "all.ndjson"])).unwrap();
    assert_eq!(code, Some(2), "{errors}");
    assert!(summary(&errors).starts_with("0 imported, 1201 there already, 3 refused"), "{errors}");
}

#[tokio::test]
async fn bad_lines_are_reported_and_a_second_run_imports_nothing_twice_on_sqlite() {
    bad_lines_are_reported_and_a_second_run_imports_nothing_twice_on(Backend::Sqlite).await;
}

#[tokio::test]
async fn bad_lines_are_reported_and_a_second_run_imports_nothing_twice_on_postgres() {
    bad_lines_are_reported_and_a_second_run_imports_nothing_twice_on(Backend::Postgres).await;
}

#[tokio::test]
async fn bad_lines_are_reported_and_a_second_run_imports_nothing_twice_on_dynamodb() {
    bad_lines_are_reported_and_a_second_run_imports_nothing_twice_on(Backend::DynamoDb).await;
}
