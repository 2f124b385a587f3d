//! The files of the template: the feature `books`, as it would be written by hand.
//!
//! To change it, generate the feature into a scratch copy of the workspace, work on that, and copy it back.

/// The path of each file in the workspace, and its text. Manifests have another name here, because tools take
/// every `Cargo.toml` for one of the workspace.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("shared/books/Cargo.toml", include_str!("template/domain/manifest.toml")),
    ("shared/books/src/actions.rs", include_str!("template/domain/src/actions.rs")),
    ("shared/books/src/codes.rs", include_str!("template/domain/src/codes.rs")),
    ("shared/books/src/count.rs", include_str!("template/domain/src/count.rs")),
    ("shared/books/src/description.rs", include_str!("template/domain/src/description.rs")),
    ("shared/books/src/error.rs", include_str!("template/domain/src/error.rs")),
    ("shared/books/src/lib.rs", include_str!("template/domain/src/lib.rs")),
    ("shared/books/src/list.rs", include_str!("template/domain/src/list.rs")),
    ("shared/books/src/permissions.rs", include_str!("template/domain/src/permissions.rs")),
    ("shared/books/src/record.rs", include_str!("template/domain/src/record.rs")),
    ("shared/books/src/service.rs", include_str!("template/domain/src/service.rs")),
    ("shared/books/src/title.rs", include_str!("template/domain/src/title.rs")),
    ("shared/books/src/view.rs", include_str!("template/domain/src/view.rs")),
    ("shared/books/tests/services/access.rs", include_str!("template/domain/tests/services/access.rs")),
    ("shared/books/tests/services/changes.rs", include_str!("template/domain/tests/services/changes.rs")),
    ("shared/books/tests/services/limit.rs", include_str!("template/domain/tests/services/limit.rs")),
    ("shared/books/tests/services/lists.rs", include_str!("template/domain/tests/services/lists.rs")),
    ("shared/books/tests/services/main.rs", include_str!("template/domain/tests/services/main.rs")),
    ("shared/books/tests/services/world.rs", include_str!("template/domain/tests/services/world.rs")),
    ("functions/books/Cargo.toml", include_str!("template/function/manifest.toml")),
    ("functions/books/src/books.rs", include_str!("template/function/src/books.rs")),
    ("functions/books/src/filter.rs", include_str!("template/function/src/filter.rs")),
    ("functions/books/src/lib.rs", include_str!("template/function/src/lib.rs")),
    ("functions/books/src/main.rs", include_str!("template/function/src/main.rs")),
    ("functions/books/src/samples.rs", include_str!("template/function/src/samples.rs")),
    ("functions/books/tests/function.rs", include_str!("template/function/tests/function.rs")),
    ("functions/books/tests/routes.rs", include_str!("template/function/tests/routes.rs")),
    ("local/tests/same_bytes/trace/books.rs", include_str!("template/trace.rs")),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::*;

    /// The files below a folder.
    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn the_list_has_every_file_once() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/new/template");
        let files = files(&folder);
        for file in &files {
            let text = fs::read_to_string(file).unwrap();
            assert!(FILES.iter().any(|(_, listed)| *listed == text), "{} is not listed", file.display());
        }
        let paths: BTreeSet<_> = FILES.iter().map(|(path, _)| path).collect();
        assert_eq!((files.len(), paths.len()), (FILES.len(), FILES.len()));
    }

    #[test]
    fn the_files_are_formatted() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/new/template");
        let mut rustfmt = Command::new("rustfmt");
        rustfmt.args(["--check", "--edition", "2024"]);
        let roots = [
            "domain/src/lib.rs",
            "domain/tests/services/main.rs",
            "function/src/lib.rs",
            "function/src/main.rs",
        ];
        let tests = ["function/tests/function.rs", "function/tests/routes.rs", "trace.rs"];
        let output = rustfmt.args(roots.iter().chain(&tests).map(|file| folder.join(file))).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}
