//! What a feature changes in existing files: one line each.

use super::insert::Place;
use super::name::Name;

/// A line that is inserted into an existing file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The file, from the root of the workspace.
    pub(crate) file: &'static str,
    pub(crate) place: Place,
    pub(crate) line: String,
}

/// Returns the lines that make a feature part of the programs.
pub(crate) fn changes(name: &Name) -> Vec<Change> {
    let (kebab, snake) = (name.plural.kebab(), name.plural.snake());
    let (sentence, prose) = (name.plural.sentence(), name.plural.prose());
    let change = |file, place, line| Change { file, place, line };
    let dependencies = Place::Sorted { section: "[dependencies]", beside: "switchyard-" };
    let workspace = |beside| Place::Sorted { section: "[workspace.dependencies]", beside };
    vec![
        change(
            "Cargo.toml",
            workspace("path = \"shared/"),
            format!("switchyard-{kebab} = {{ path = \"shared/{kebab}\" }}"),
        ),
        change(
            "Cargo.toml",
            workspace("path = \"functions/"),
            format!("switchyard-fn-{kebab} = {{ path = \"functions/{kebab}\" }}"),
        ),
        change("shared/domains/Cargo.toml", dependencies, format!("switchyard-{kebab}.workspace = true")),
        change(
            "shared/domains/src/lib.rs",
            Place::Last("pub const ALL: Manifests ="),
            format!("&switchyard_{snake}::MANIFEST"),
        ),
        change(
            "shared/README.md",
            Place::AfterLast("` | domain |"),
            format!("| `{kebab}` | domain | {prose} of users |"),
        ),
        change("local/Cargo.toml", dependencies, format!("switchyard-fn-{kebab}.workspace = true")),
        change(
            "local/Cargo.toml",
            Place::Sorted { section: "[dev-dependencies]", beside: "switchyard-fn-" },
            format!("switchyard-fn-{kebab} = {{ workspace = true, features = [\"testing\"] }}"),
        ),
        change(
            "local/src/lib.rs",
            Place::Before("(name = \"system\", description"),
            format!("(name = \"{kebab}\", description = \"{sentence} of users.\"),"),
        ),
        change(
            "local/src/lib.rs",
            Place::Before("(switchyard_fn_system::FUNCTION,"),
            format!(
                "(switchyard_fn_{snake}::FUNCTION, |_, _, identity| \
                 switchyard_fn_{snake}::router(identity.clone())),"
            ),
        ),
        change(
            "local/tests/http/requests.rs",
            Place::Last("const SAMPLES: &[Samples] ="),
            format!("|identity, owner| switchyard_fn_{snake}::samples::samples(identity, owner).boxed()"),
        ),
        change(
            "local/tests/same_bytes/trace/mod.rs",
            Place::Before("mod accounts;"),
            format!("mod {snake};"),
        ),
        change(
            "local/tests/same_bytes/trace/mod.rs",
            Place::Before("limits::replay(api)"),
            format!("{snake}::replay(api).await;"),
        ),
    ]
}
