//! Tests `switchyard audit`: a log that is set back as a whole contradicts the anchors that were written before.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use switchyard_harness::process::{self, Process};
use switchyard_harness::store::{Backend, Store};

/// `switchyard` in its own folder, with an empty environment otherwise: on the database `data/switchyard.db`.
fn switchyard(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder).env_clear().env("LOG", "warn").args(arguments);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    process::run(switchyard(folder, arguments)).unwrap()
}

fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let (code, output, errors) = run(folder, arguments);
    assert_eq!(code, Some(0), "{output}{errors}");
    output
}

fn fail(folder: &Path, arguments: &[&str]) -> String {
    let (code, output, errors) = run(folder, arguments);
    assert_eq!(code, Some(1), "{output}{errors}");
    errors
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Makes `to` a copy of `from`.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    files(to).into_iter().for_each(|file| fs::remove_file(file).unwrap());
    for file in files(from) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[test]
fn an_old_backup_in_place_of_the_database_is_found_by_the_last_anchor() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    succeed(folder, &["admin", "create", "one@example.org"]);
    let verified = succeed(folder, &["audit", "verify"]);
    assert!(verified.contains("are intact: ") && verified.contains("No anchor was given"), "{verified}");
    let line = succeed(folder, &["audit", "anchor"]);
    fs::write(folder.join("anchors"), &line).unwrap();
    copy(&folder.join("data"), &folder.join("backup"));

    for address in ["two@example.org", "three@example.org"] {
        succeed(folder, &["admin", "create", address]);
    }
    succeed(folder, &["audit", "anchor", "--file", "anchors"]);
    let anchors = fs::read_to_string(folder.join("anchors")).unwrap();
    assert!(anchors.starts_with(&line) && anchors.lines().count() == 2, "{anchors}");
    let verify = ["audit", "verify", "--anchor", "anchors"];
    let verified = succeed(folder, &verify);
    assert!(verified.contains("The log contains everything up to the last anchor"), "{verified}");

    copy(&folder.join("backup"), &folder.join("data"));
    assert!(succeed(folder, &["audit", "verify"]).contains("are intact"));
    let refusal = fail(folder, &verify);
    assert!(refusal.contains("the audit log was set back behind the anchor of "), "{refusal}");

    // What is written to the backup then cannot be told from an honest log, but by the anchors.
    succeed(folder, &["audit", "anchor", "--file", "anchors"]);
    let refusal = fail(folder, &verify);
    let expected = "of the anchors line 3 contradicts the anchor before it: the log was set back in between";
    assert!(refusal.contains(expected), "{refusal}");
}

#[test]
fn every_line_of_the_anchors_must_be_authentic() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    succeed(folder, &["admin", "create", "one@example.org"]);
    let line = succeed(folder, &["audit", "anchor"]);
    let forged = line.replacen("\"n\":", "\"n\":1", 1);
    let verify = ["audit", "verify", "--anchor", "anchors"];
    for (text, expected) in [
        (format!("{}\n{line}", &line[..100]), "of the anchors line 1 is not an anchor of an audit log"),
        (format!("{line}{forged}"), "of the anchors line 2 is not what was written"),
        (String::new(), "anchors has no anchor"),
    ] {
        fs::write(folder.join("anchors"), text).unwrap();
        let refusal = fail(folder, &verify);
        assert!(refusal.contains(expected), "{refusal}");
    }
    fs::remove_file(folder.join("anchors")).unwrap();
    let refusal = fail(folder, &verify);
    assert!(refusal.contains("the anchors in anchors cannot be read"), "{refusal}");
}

async fn a_server_writes_anchors_on(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::fresh(backend).await.unwrap();
    let with = |arguments: &[&str]| {
        let mut command = switchyard(folder.path(), arguments);
        command.envs(store.environment()).env("SECRETS", "file:secrets").env("AUDIT_ANCHOR_FILE", "anchors");
        command.env("AUDIT_ANCHOR_EVERY", "1s");
        command
    };
    let mut server = Process::serve(with(&[])).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let anchors = || fs::read_to_string(folder.path().join("anchors")).unwrap_or_default();
    while anchors().lines().count() < 2 {
        assert!(Instant::now() < deadline, "no anchors: {}", server.output());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.terminate().unwrap(), Some(0));
    let (code, output, errors) = process::run(with(&["audit", "verify"])).unwrap();
    assert_eq!(code, Some(0), "{output}{errors}");
    assert!(output.contains("The log contains everything up to the last anchor"), "{output}");
}

#[tokio::test]
async fn a_server_writes_anchors_on_sqlite() {
    a_server_writes_anchors_on(Backend::Sqlite).await;
}

#[tokio::test]
async fn a_server_writes_anchors_on_postgres() {
    a_server_writes_anchors_on(Backend::Postgres).await;
}

#[tokio::test]
async fn a_server_writes_anchors_on_dynamodb() {
    a_server_writes_anchors_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn without_a_file_anchors_are_lines_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = switchyard(folder.path(), &[]);
    command.env("LOG", "info").env("LOG_FORMAT", "json").env("AUDIT_ANCHOR_EVERY", "1s");
    let mut server = Process::serve(command).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut log = server.output();
    while !log.contains("audit anchor") {
        assert!(Instant::now() < deadline, "no anchor: {log}");
        log.push('\n');
        log.push_str(&server.output());
    }
    assert_eq!(server.terminate().unwrap(), Some(0));
    let line = log.lines().find(|line| line.contains("audit anchor")).unwrap();
    let entry: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(entry["message"], "audit anchor");
    fs::write(folder.path().join("anchors"), entry["anchor"].as_str().unwrap()).unwrap();
    succeed(folder.path(), &["audit", "verify", "--anchor", "anchors"]);
}
