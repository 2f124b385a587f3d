//! The deployment template against the code: its tables are those of the declared collections, its routes those of the
//! routers.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use axum::http::Method;
use serde_json::Value;
use switchyard_harness::process;
use switchyard_harness::template::Routes;
use switchyard_identity::LocalSecrets;

fn project_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn the_tables_of_the_template_are_those_of_the_declared_collections() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.arg("tables");
    let (code, template, errors) = process::run(command).unwrap();
    assert_eq!(code, Some(0), "{errors}");
    let path = project_file("infra/tables.yaml");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &template).unwrap();
    }
    let written = fs::read_to_string(path).unwrap();
    assert_eq!(written, template, "write it anew with UPDATE_SNAPSHOTS=1, or with `cargo run -- tables`");
}

#[test]
fn every_operation_is_routed_to_the_function_that_has_it() {
    let document: Value =
        serde_json::from_str(&fs::read_to_string(project_file("functions/system/openapi.json")).unwrap())
            .unwrap();
    let routes = Routes::read().unwrap();
    let mut used = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let tag =
            item.as_object().unwrap().values().find_map(|operation| operation["tags"][0].as_str()).unwrap();
        let expected = match tag {
            "auth" => "Auth",
            "system" => "System", // by the route that takes everything else
            _ => "Users",
        };
        // A method that a path does not have is answered by the function that has the path, too.
        let function = routes.function_of(&Method::TRACE, path);
        assert_eq!(function, expected, "{path} leads to the wrong function");
        used.extend(routes.pattern_of(path).map(|(pattern, _)| pattern));
    }
    let unused: Vec<_> = routes.iter().filter(|(pattern, _)| !used.contains(pattern)).collect();
    assert!(unused.is_empty(), "the template routes what no router has: {unused:?}");
}

#[test]
fn only_functions_that_know_users_are_told_the_secrets() {
    let template = fs::read_to_string(project_file("template.yaml")).unwrap();
    let (mut section, mut told) = ("", BTreeSet::new());
    for line in template.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|line| !line.starts_with("   ")) {
            section = name.trim();
        }
        for secret in LocalSecrets::SETTINGS {
            if line.trim().starts_with(&format!("{secret}:")) {
                told.insert((section, secret));
            }
        }
    }
    let secrets = |function| LocalSecrets::SETTINGS.map(|secret| (function, secret));
    assert_eq!(told, [secrets("AuthFunction"), secrets("UsersFunction")].concat().into_iter().collect());
}

#[test]
fn every_table_is_open_to_some_function_and_no_function_names_another() {
    let tables: BTreeSet<String> = fs::read_to_string(project_file("infra/tables.yaml"))
        .unwrap()
        .lines()
        .filter_map(|line| {
            Some(
                line.trim()
                    .strip_prefix("TableName: !Sub \"${TablePrefix}-")?
                    .trim_end_matches('"')
                    .to_owned(),
            )
        })
        .collect();
    let named: BTreeSet<String> = fs::read_to_string(project_file("template.yaml"))
        .unwrap()
        .lines()
        .filter_map(|line| Some(line.split_once("table/${TablePrefix}-")?.1.trim_end_matches('"').to_owned()))
        .map(|name| name.trim_end_matches("/index/*").to_owned())
        .collect();
    assert!(tables.len() > 10, "{tables:?}");
    assert_eq!(named, tables);
}
