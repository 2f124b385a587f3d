//! Everything that a feature writes, decided before anything is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::changes::{Change, changes};
use super::conflicts::conflicts;
use super::insert::{Missing, key};
use super::name::Name;
use super::render::render;
use super::template::FILES;

/// What is written.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: Name,
    /// The new files: path and text.
    pub(crate) files: Vec<(String, String)>,
    /// The lines in existing files.
    pub(crate) changes: Vec<Change>,
    /// The existing files with these lines: path and text.
    changed_files: BTreeMap<&'static str, String>,
}

impl Plan {
    /// Plans a feature in the workspace at `root`. Writes nothing.
    ///
    /// # Errors
    ///
    /// All that stands in the way: taken names, and existing files without a place for their line.
    pub(crate) fn new(name: Name, root: &Path) -> Result<Self, Vec<String>> {
        let mut faults = conflicts(&name, root);
        let files: Vec<_> = FILES.iter().map(|(path, text)| new_file(path, text, &name)).collect();
        for (at, (path, _)) in files.iter().enumerate() {
            if files[..at].iter().any(|(earlier, _)| earlier == path) {
                faults.push(format!("the feature would have two files {path}: choose another name"));
            }
        }
        let changes = changes(&name);
        let mut changed_files = BTreeMap::new();
        for Change { file, place, line } in &changes {
            let text = match changed_files.remove(file) {
                Some(text) => Ok(text),
                None => fs::read_to_string(root.join(file))
                    .map_err(|error| format!("{file} cannot be read: {error}")),
            };
            let inserted = text.and_then(|text| {
                place.insert(&text, line).map_err(|Missing(anchor)| {
                    format!("{file} has no place for the line `{line}`: there must be {anchor}")
                })
            });
            match inserted {
                Ok(text) => {
                    changed_files.insert(*file, text);
                }
                Err(fault) if faults.contains(&fault) => {} // the file was to get two lines
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(Self { name, files, changes, changed_files }) } else { Err(faults) }
    }

    /// Writes everything.
    pub(crate) fn write(&self, root: &Path) -> anyhow::Result<()> {
        let files = self.files.iter().map(|(path, text)| (path.as_str(), text));
        let changed = self.changed_files.iter().map(|(path, text)| (*path, text));
        for (path, text) in files.chain(changed) {
            let file = root.join(path);
            file.parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| fs::write(&file, text))
                .with_context(|| format!("{path} cannot be written"))?;
        }
        Ok(())
    }
}

/// A file of the template for this name: its path and its text.
fn new_file(path: &str, text: &str, name: &Name) -> (String, String) {
    let (path, text) = (render(path, name), render(text, name));
    let text = if path.ends_with("Cargo.toml") { with_sorted_dependencies(&text) } else { text };
    (path, text)
}

/// The name of the feature is the key of a dependency, so its place depends on it.
fn with_sorted_dependencies(manifest: &str) -> String {
    let sorted = manifest.split("\n\n").map(|section| match section.split_once('\n') {
        Some((header, lines)) if header.ends_with("dependencies]") => {
            let mut lines: Vec<_> = lines.lines().collect();
            lines.sort_by_key(|line| key(line));
            format!("{header}\n{}", lines.join("\n"))
        }
        _ => section.to_owned(),
    });
    sorted.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that a feature changes, alone in a folder.
    fn workspace() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let name = Name::parse("dodos", None).unwrap();
        for file in changes(&name).iter().map(|change| change.file).chain(["Cargo.lock"]) {
            let copy = folder.path().join(file);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(real.join(file), copy).unwrap();
        }
        folder
    }

    fn plan(name: &str, root: &Path) -> Result<Plan, Vec<String>> {
        Plan::new(Name::parse(name, None).unwrap(), root)
    }

    fn replace(file: &Path, from: &str, to: &str) {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(file, text.replace(from, to)).unwrap();
    }

    #[test]
    fn a_feature_is_written_once() {
        let folder = workspace();
        let root = folder.path();
        let dodos = plan("dodos", root).unwrap();
        assert!(!root.join("shared/dodos").exists(), "a plan writes nothing");
        dodos.write(root).unwrap();
        for (path, text) in &dodos.files {
            assert_eq!(fs::read_to_string(root.join(path)).unwrap(), *text);
        }
        for Change { file, line, .. } in &dodos.changes {
            assert!(fs::read_to_string(root.join(file)).unwrap().contains(line), "{file}");
        }
        let faults = plan("dodos", root).unwrap_err();
        let expected = [
            "the folder shared/dodos exists already",
            "the folder functions/dodos exists already",
            "the file local/tests/same_bytes/trace/dodos.rs exists already",
        ];
        assert_eq!(faults, expected);
    }

    #[test]
    fn a_second_feature_finds_its_places_beside_the_first() {
        let folder = workspace();
        let root = folder.path();
        plan("dodos", root).unwrap().write(root).unwrap();
        plan("dodo-eggs", root).unwrap().write(root).unwrap();
        let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let place = |package: &str| manifest.find(&format!("\n{package} = ")).unwrap();
        assert!(place("switchyard-dodo-eggs") < place("switchyard-dodos"));
        assert!(place("switchyard-fn-dodo-eggs") < place("switchyard-fn-dodos"));
    }

    #[test]
    fn every_missing_place_is_reported_and_nothing_is_written() {
        let folder = workspace();
        let root = folder.path();
        replace(
            &root.join("shared/domains/src/lib.rs"),
            "pub const ALL: Manifests",
            "pub static ALL: Manifests",
        );
        replace(&root.join("shared/README.md"), "` | domain |", "` | crate |");
        fs::remove_file(root.join("local/Cargo.toml")).unwrap();
        fs::create_dir_all(root.join("functions/dodos")).unwrap();
        let faults = plan("dodos", root).unwrap_err();
        assert_eq!(faults[0], "the folder functions/dodos exists already");
        assert_eq!(
            faults[1],
            "shared/domains/src/lib.rs has no place for the line `&switchyard_dodos::MANIFEST`: there must be one \
             list that follows `pub const ALL: Manifests =` and ends with `];`"
        );
        assert!(faults[2].starts_with("shared/README.md has no place for the line `| `dodos` | domain |"));
        assert!(faults[3].starts_with("local/Cargo.toml cannot be read: "), "{faults:?}");
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(!root.join("shared/dodos").exists());
    }

    #[test]
    fn no_file_replaces_another_one_of_the_feature() {
        let folder = workspace();
        let faults = Plan::new(Name::parse("lib", Some("libx")).unwrap(), folder.path()).unwrap_err();
        assert_eq!(
            faults,
            ["the feature would have two files functions/lib/src/lib.rs: choose another name"]
        );
    }

    #[test]
    fn the_dependencies_of_a_new_manifest_are_sorted() {
        let manifest = FILES.iter().find(|(path, _)| *path == "functions/books/Cargo.toml");
        let template = manifest.unwrap().1;
        for name in ["books", "audits", "zebras"] {
            let (path, manifest) =
                new_file("functions/books/Cargo.toml", template, &Name::parse(name, None).unwrap());
            assert_eq!(path, format!("functions/{name}/Cargo.toml"));
            let section = manifest.split_once("[dependencies]\n").unwrap().1.split_once("\n\n").unwrap().0;
            assert!(section.lines().is_sorted_by_key(key), "{section}");
            assert!(section.contains(&format!("switchyard-{name}.workspace = true")), "{section}");
        }
    }
}
