//! What is said after a feature was written.

use std::fmt::Write as _;

use super::plan::Plan;

/// Returns what was written and what to do next.
pub(crate) fn report(plan: &Plan) -> String {
    let name = &plan.name;
    let (kebab, snake) = (name.plural.kebab(), name.plural.snake());
    let (types, singular) = (name.plural.pascal(), name.singular.pascal());
    let mut text = format!("Wrote the feature {kebab}; one of them is called {}:\n", name.singular);
    for (folder, what) in [("shared", "a domain"), ("functions", "a function")] {
        let folder = format!("{folder}/{kebab}");
        let files = plan.files.iter().filter(|(path, _)| path.starts_with(&format!("{folder}/")));
        let lines: usize = files.clone().map(|(_, text)| text.lines().count()).sum();
        let _ = writeln!(text, "  {folder}: {what}, {} files, {lines} lines", files.count());
    }
    let _ = writeln!(
        text,
        "  local/tests/same_bytes/trace/{snake}.rs: requests that all databases must answer alike"
    );
    let _ = writeln!(
        text,
        "\nAdded {} lines to existing files, and the packages to Cargo.lock:",
        plan.changes.len()
    );
    for change in &plan.changes {
        let _ = writeln!(text, "  {}: {}", change.file, change.line);
    }
    let _ = write!(
        text,
        "
Next, write the files that follow from all features, then test this one on all databases and serve it:
  UPDATE_SNAPSHOTS=1 cargo test -p switchyard-local --test openapi --test template
  local/test -p switchyard-{kebab} -p switchyard-fn-{kebab}
  cargo run

Then make it yours. Fields and rules are in these places:
  shared/{kebab}/src/view.rs: {singular} and {singular}Fields, what the API shows and accepts
  shared/{kebab}/src/title.rs: a value and its rule; add such a file for each field with a rule
  shared/{kebab}/src/record.rs: the indexes, and the fields that lists and searches use
  shared/{kebab}/src/list.rs: the filters of the list; functions/{kebab}/src/filter.rs reads them
  shared/{kebab}/src/service.rs: {types}::LIMIT, and what each operation requires
  shared/{kebab}/src/permissions.rs, codes.rs, actions.rs: what MANIFEST in lib.rs declares
  functions/{kebab}/src/{snake}.rs: the operations, and what the OpenAPI document says about them
"
    );
    text
}
