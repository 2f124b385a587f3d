//! The directions between crates: which kind of crate may use which.
//!
//! A shared crate declares its kind in its manifest, as `kind` under `[package.metadata.switchyard]`. A package under
//! `functions/` is a function.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use switchyard_local::functions;

const PREFIX: &str = "switchyard-";

/// The kinds of crates, and the kinds that each may use. `shared/README.md` explains them.
const DIRECTIONS: [(&str, &[&str]); 12] = [
    ("foundation", &["foundation"]),
    ("contract", &["foundation"]),
    ("backend", &["foundation", "contract"]),
    ("kernel", &["foundation", "contract"]),
    ("service", &["foundation", "contract", "kernel", "service"]),
    ("domain", &["foundation", "contract", "kernel", "service"]),
    ("list", &["kernel", "service", "domain"]),
    ("api", &["foundation", "contract", "kernel"]),
    ("http", &["foundation", "contract", "kernel", "service", "domain", "api"]),
    ("runtime", &["foundation", "contract", "kernel", "service", "api", "backend"]),
    ("program", &["foundation", "contract", "kernel", "service", "domain", "list", "api", "runtime"]),
    (
        "function",
        &["foundation", "contract", "kernel", "service", "domain", "api", "http", "runtime", "program"],
    ),
];

/// A package of the workspace.
#[derive(Debug)]
struct Package {
    name: String,
    /// The folder, relative to the workspace.
    folder: String,
    kind: Option<String>,
    /// The packages of the workspace that it uses outside of tests.
    uses: BTreeSet<String>,
}

fn packages() -> Vec<Package> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(root);
    let answer: Value = serde_json::from_slice(&metadata.output().unwrap().stdout).unwrap();
    let own = |name: &Value| name.as_str().unwrap().strip_prefix(PREFIX).map(str::to_owned);
    let package = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let folder = manifest.parent().unwrap().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let declared = package["metadata"]["switchyard"]["kind"].as_str().map(str::to_owned);
        // Only the folder makes a function of a package: functions may use nearly everything.
        let kind = if folder.starts_with("functions/") {
            Some("function".to_owned())
        } else {
            declared.filter(|kind| kind != "function")
        };
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let uses = dependencies.filter(|dependency| dependency["kind"] != "dev");
        let uses = uses.filter_map(|dependency| own(&dependency["name"])).collect();
        Package { name: own(&package["name"]).unwrap(), folder, kind, uses }
    };
    answer["packages"].as_array().unwrap().iter().map(package).collect()
}

/// What goes against the directions.
fn violations(packages: &[Package]) -> Vec<String> {
    let kinds: BTreeMap<&str, &str> =
        packages.iter().filter_map(|package| Some((&*package.name, package.kind.as_deref()?))).collect();
    let mut violations = Vec::new();
    for package in packages.iter().filter(|package| !package.folder.starts_with("local")) {
        let Some(kind) = &package.kind else {
            violations.push(format!("{} declares no kind", package.folder));
            continue;
        };
        let Some((_, allowed)) = DIRECTIONS.iter().find(|(name, _)| name == kind) else {
            violations.push(format!("{} is of the unknown kind {kind}", package.folder));
            continue;
        };
        for used in &package.uses {
            let used_kind = kinds.get(used.as_str()).copied().unwrap_or("none");
            if !allowed.contains(&used_kind) {
                violations.push(format!("{} ({kind}) uses {used} ({used_kind})", package.folder));
            }
        }
    }
    violations
}

#[test]
fn crates_use_only_the_kinds_that_theirs_may_use() {
    let packages = packages();
    let functions = packages.iter().filter(|package| package.kind.as_deref() == Some("function"));
    assert!(functions.count() > 2, "the functions are found");
    assert_eq!(violations(&packages), Vec::<String>::new());
}

#[test]
fn a_domain_that_uses_another_domain_and_a_crate_without_a_kind_are_found() {
    let package = |name: &str, folder: &str, kind: Option<&str>, uses: &[&str]| Package {
        name: name.to_owned(),
        folder: format!("{folder}/{name}"),
        kind: kind.map(str::to_owned),
        uses: uses.iter().map(|&used| used.to_owned()).collect(),
    };
    let packages = [
        package("kernel", "shared", Some("kernel"), &[]),
        package("identity", "shared", Some("domain"), &["kernel"]),
        package("books", "shared", Some("domain"), &["kernel", "identity"]),
        package("notes", "shared", None, &[]),
        package("users", "functions", Some("function"), &["identity", "sqlite"]),
        package("sqlite", "shared", Some("backend"), &[]),
    ];
    let expected = [
        "shared/books (domain) uses identity (domain)",
        "shared/notes declares no kind",
        "functions/users (function) uses sqlite (backend)",
    ];
    assert_eq!(violations(&packages), expected);
}

#[test]
fn every_function_is_served_and_every_domain_is_listed() {
    let packages = packages();
    let of_kind = |kind: &str| -> BTreeSet<String> {
        let packages = packages.iter().filter(|package| package.kind.as_deref() == Some(kind));
        packages.map(|package| package.name.trim_start_matches("fn-").to_owned()).collect()
    };
    let served = functions().map(|function| function.name.to_owned());
    assert_eq!(
        served.collect::<BTreeSet<_>>(),
        of_kind("function"),
        "`FUNCTIONS` and `SCHEDULED` of local/src/lib.rs"
    );
    let listed = switchyard_domains::ALL.iter().map(|manifest| manifest.name.to_owned());
    let listed: BTreeSet<_> = listed.filter(|name| name != "kernel").collect();
    let expected: BTreeSet<_> = of_kind("domain").union(&of_kind("service")).cloned().collect();
    assert_eq!(listed, expected, "`ALL` of shared/domains/src/lib.rs");
}

/// The rows of the table of crates: a crate, and its kind.
fn table(text: &str) -> BTreeMap<String, String> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let row = |row: &str| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
    };
    rows.map(row).collect()
}

#[test]
fn the_table_of_crates_lists_every_shared_crate_with_its_kind() {
    let shared = packages().into_iter().filter(|package| package.folder.starts_with("shared/"));
    let declared: BTreeMap<_, _> =
        shared.map(|package| (package.name, package.kind.unwrap_or_default())).collect();
    assert_eq!(table(include_str!("../../shared/README.md")), declared);
}
