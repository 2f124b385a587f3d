//! Holds the manifests to what `shared/README.md` says: which crate may use which.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

type Uses = BTreeMap<String, BTreeSet<String>>;

const PREFIX: &str = "switchyard-";

/// The packages of the workspace, each with its folder and with those of them that it uses outside of tests.
fn packages() -> Vec<(String, String, BTreeSet<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(root);
    let answer: Value = serde_json::from_slice(&metadata.output().unwrap().stdout).unwrap();
    let own = |name: &Value| name.as_str().unwrap().strip_prefix(PREFIX).map(str::to_owned);
    let packages = answer["packages"].as_array().unwrap().iter().map(|package| {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let folder = manifest.parent().unwrap().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let uses = dependencies.filter(|dependency| dependency["kind"].is_null());
        let uses = uses.filter_map(|dependency| own(&dependency["name"])).collect();
        (own(&package["name"]).unwrap(), folder, uses)
    });
    packages.collect()
}

/// The words in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The rows of the table, each of which begins with the name of a crate.
fn table(text: &str) -> Uses {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let row = |row: &str| {
        let cells: Vec<_> = row.split('|').collect();
        (quoted(cells[1]).next().unwrap(), quoted(cells[3]).collect())
    };
    rows.map(row).collect()
}

#[test]
fn shared_crates_use_those_that_their_rows_name_and_no_others() {
    let manifests: Uses = packages()
        .into_iter()
        .filter(|(_, folder, _)| folder.starts_with("shared/"))
        .map(|(name, _, uses)| (name, uses))
        .collect();
    assert_eq!(table(include_str!("../../shared/README.md")), manifests);
}

#[test]
fn route_groups_use_shared_crates_but_neither_each_other_nor_a_backend() {
    let packages = packages();
    let of = |room: &str| -> BTreeSet<String> {
        let in_room = packages.iter().filter(|(_, folder, _)| folder.starts_with(room));
        in_room.map(|(name, ..)| name.clone()).collect()
    };
    let allowed: BTreeSet<String> = of("shared/");
    let backends = ["dynamodb", "postgres", "sqlite"].map(str::to_owned);
    for (name, _, uses) in packages.iter().filter(|(_, folder, _)| folder.starts_with("functions/")) {
        assert!(uses.is_subset(&allowed), "{name} uses {uses:?}");
        assert!(uses.iter().all(|used| !backends.contains(used)), "{name} uses {uses:?}");
    }
    assert!(of("functions/").len() > 2, "the route groups are found");
}
