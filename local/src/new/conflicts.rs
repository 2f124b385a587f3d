//! Names that are taken already.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::name::Name;
use super::render::render;
use super::template::FILES;

/// Returns what stands in the way of a feature of this name, a sentence for each conflict.
pub(crate) fn conflicts(name: &Name, root: &Path) -> Vec<String> {
    let identifiers = Identifiers::of_template(name);
    [
        taken_files(name, root),
        taken_packages(name, root),
        taken_declarations(name),
        taken_operations(name, &identifiers),
        identifiers.with_two_meanings(),
    ]
    .concat()
}

fn taken_files(name: &Name, root: &Path) -> Vec<String> {
    let folders = ["shared", "functions"].map(|parent| format!("{parent}/{}", name.plural));
    let taken = folders.into_iter().filter(|folder| root.join(folder).exists());
    let mut conflicts: Vec<_> = taken.map(|folder| format!("the folder {folder} exists already")).collect();
    let requests = format!("local/tests/same_bytes/trace/{}.rs", name.plural.snake());
    if root.join(&requests).exists() {
        conflicts.push(format!("the file {requests} exists already"));
    }
    conflicts
}

/// Cargo.lock has every package of the workspace, whatever its folder is.
fn taken_packages(name: &Name, root: &Path) -> Vec<String> {
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    let packages = ["switchyard-", "switchyard-fn-"].map(|prefix| format!("{prefix}{}", name.plural));
    let taken = packages.into_iter().filter(|package| lock.contains(&format!("\nname = \"{package}\"\n")));
    taken.map(|package| format!("the workspace has a package {package} already")).collect()
}

/// What the domains of this program declare.
fn taken_declarations(name: &Name) -> Vec<String> {
    let (plural, singular) = (&name.plural, &name.singular);
    let wanted = [
        ("domain", plural.kebab()),
        ("collection", plural.snake()),
        ("collection", format!("{}_counts", singular.snake())),
        ("permission", format!("{plural}:read")),
        ("permission", format!("{plural}:write")),
        ("error code", format!("{}_LIMIT_REACHED", singular.screaming())),
        ("action", format!("{}.created", singular.snake())),
        ("action", format!("{}.changed", singular.snake())),
        ("action", format!("{}.deleted", singular.snake())),
    ];
    let mut declared: BTreeSet<(&str, &str)> =
        switchyard_program::collections().map(|collection| ("collection", collection.name)).collect();
    for manifest in switchyard_domains::ALL {
        declared.insert(("domain", manifest.name));
        declared.extend(manifest.permissions.iter().map(|permission| ("permission", permission.name())));
        declared.extend(manifest.codes.iter().map(|code| ("error code", code.name())));
        declared.extend(manifest.actions.iter().map(|action| ("action", action.as_str())));
    }
    let taken = wanted.iter().filter(|(kind, wanted)| declared.contains(&(*kind, wanted.as_str())));
    taken.map(|(kind, wanted)| format!("the {kind} {wanted} is declared already")).collect()
}

/// What the OpenAPI document of this program has.
fn taken_operations(name: &Name, identifiers: &Identifiers) -> Vec<String> {
    let document: Value = serde_json::from_str(switchyard_fn_system::OPENAPI_JSON).unwrap_or_default();
    let path = format!("/api/v1/{}", name.plural);
    let mut conflicts = Vec::new();
    for (taken, item) in document["paths"].as_object().into_iter().flatten() {
        if *taken == path || taken.starts_with(&format!("{path}/")) {
            conflicts.push(format!("the API has the path {taken} already"));
        }
        let ids = item.as_object().into_iter().flatten();
        let ids = ids.filter_map(|(_, operation)| operation["operationId"].as_str());
        let taken = ids.filter(|id| identifiers.derived.contains(*id));
        conflicts.extend(taken.map(|id| format!("the API has an operation {id} already")));
    }
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let taken = schemas.filter(|(schema, _)| identifiers.derived.contains(*schema));
    conflicts.extend(taken.map(|(schema, _)| format!("the API has a schema {schema} already")));
    conflicts
}

/// The identifiers of the template's code.
struct Identifiers {
    /// Those that name the feature, for the name that it is to have.
    derived: BTreeSet<String>,
    /// All others.
    fixed: BTreeSet<String>,
}

impl Identifiers {
    fn of_template(name: &Name) -> Self {
        let is_code = |path: &str| Path::new(path).extension().is_some_and(|extension| extension == "rs");
        let code = FILES.iter().filter(|(path, _)| is_code(path)).flat_map(|(_, text)| text.lines());
        let code = code.filter(|line| !line.trim_start().starts_with("//"));
        // Every second part between quotes is a string.
        let code = code.flat_map(|line| line.split('"').step_by(2));
        let words = code.flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_'));
        let (derived, fixed): (BTreeSet<_>, BTreeSet<_>) =
            words.partition(|word| word.to_ascii_lowercase().contains("book"));
        Self {
            derived: derived.into_iter().map(|word| render(word, name)).collect(),
            fixed: fixed.into_iter().map(str::to_owned).collect(),
        }
    }

    /// A name such as `pages` would give the feature a type `Page`, and the code already uses another one.
    fn with_two_meanings(&self) -> Vec<String> {
        let ambiguous =
            self.derived.iter().filter(|word| self.fixed.contains(*word) || IN_SCOPE.contains(&&***word));
        ambiguous
            .map(|word| {
                format!("the generated code uses `{word}` for something else already: choose another name")
            })
            .collect()
    }
}

/// Names that are in scope everywhere.
const IN_SCOPE: [&str; 12] = [
    "Box", "Clone", "Copy", "Default", "Drop", "Eq", "Iterator", "Option", "Result", "Send", "String", "Vec",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn conflicts_of(plural: &str, singular: Option<&str>) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        conflicts(&Name::parse(plural, singular).unwrap(), &root)
    }

    #[test]
    fn a_new_name_has_no_conflicts() {
        for plural in ["dodos", "dodo-eggs"] {
            assert_eq!(conflicts_of(plural, None), Vec::<String>::new(), "{plural}");
        }
    }

    #[test]
    fn every_conflict_is_reported() {
        let users = conflicts_of("users", None);
        for expected in [
            "the folder functions/users exists already",
            "the workspace has a package switchyard-fn-users already",
            "the collection users is declared already",
            "the permission users:read is declared already",
            "the action user.created is declared already",
            "the API has the path /api/v1/users already",
            "the API has the path /api/v1/users/{id}/profile already",
            "the API has an operation get_user already",
            "the API has a schema UserFields already",
            "the generated code uses `UserId` for something else already: choose another name",
        ] {
            assert!(users.iter().any(|conflict| conflict == expected), "{expected}: {users:?}");
        }
    }

    #[test]
    fn packages_permissions_and_schemas_are_found_without_a_folder() {
        assert_eq!(
            conflicts_of("harness", Some("strap"))[..1],
            ["the workspace has a package switchyard-harness already"]
        );
        let roles = conflicts_of("roles", None);
        assert!(roles.contains(&"the permission roles:read is declared already".to_owned()), "{roles:?}");
        let profiles = conflicts_of("profiles", None);
        assert_eq!(profiles[0], "the file local/tests/same_bytes/trace/profiles.rs exists already");
        assert!(profiles.contains(&"the API has a schema Profile already".to_owned()), "{profiles:?}");
        assert!(
            profiles.contains(&"the API has an operation get_profile already".to_owned()),
            "{profiles:?}"
        );
        let pages = conflicts_of("pages", None);
        assert!(
            pages.contains(
                &"the generated code uses `Page` for something else already: choose another name".to_owned()
            ),
            "{pages:?}"
        );
        let iterators = conflicts_of("iterators", None);
        assert_eq!(
            iterators,
            ["the generated code uses `Iterator` for something else already: choose another name"]
        );
    }
}
