use std::collections::{BTreeMap, BTreeSet};

use switchyard_database::{Collection, Schema};
use switchyard_dynamodb::index_name;
use switchyard_runtime::{Access, Function};

/// The actions that leave a collection that is append-only as it is, or add to it. Every other one is denied, also those that
/// DynamoDB does not have yet.
const APPENDING: &[&str] = &["GetItem", "BatchGetItem", "ConditionCheckItem", "Query", "Scan", "PutItem"];

/// Permits actions on tables and their indexes, or denies all other ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// Permits these actions.
    Allow(On),
    /// Denies all actions but these, whatever else permits them.
    DenyOther(On),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct On {
    /// Actions of DynamoDB.
    pub(super) actions: Vec<&'static str>,
    /// Tables by their names after the prefix, as `users`; their indexes as `users/index/by_creation`.
    pub(super) resources: Vec<String>,
}

/// Returns what a function needs to use the collections in the ways that it declares, on the tables of `schema`, and that it
/// may not change what is append-only.
///
/// # Errors
///
/// If it declares a collection or an index that `schema` does not have, or to change what is append-only.
pub(super) fn statements(function: &Function, schema: &Schema) -> anyhow::Result<Vec<Statement>> {
    let mut on: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let mut permit = |resource: String, actions: &[&'static str]| {
        let places = actions.iter().filter_map(|action| ACTIONS.iter().position(|other| other == action));
        on.entry(resource).or_default().extend(places);
    };
    permit("system".to_owned(), &["GetItem"]); // to connect to the database
    for (access, name) in function.accesses() {
        let collection = schema.collections().iter().find(|collection| collection.name == name);
        let Some(collection) = collection else {
            anyhow::bail!("the function `{}` declares the unknown collection `{name}`", function.name)
        };
        let changes = access.is_write() && access != Access::Insert;
        anyhow::ensure!(
            !(collection.append_only && changes),
            "the function `{}` declares to {}, which is append-only",
            function.name,
            access.described(name)
        );
        permit(name.to_owned(), &["GetItem", "BatchGetItem", "ConditionCheckItem"]);
        permit(name.to_owned(), actions_on_table(access));
        permit("system".to_owned(), actions_on_system(access, collection));
        if let Access::List(index) = access {
            let Some(index) = collection.index(index) else {
                anyhow::bail!(
                    "the function `{}` declares the unknown index `{index}` of `{name}`",
                    function.name
                )
            };
            permit(format!("{name}/index/{}", index_name(index)), &["Query"]);
        }
    }
    // One statement for all resources with the same actions.
    let mut statements: BTreeMap<Vec<&str>, Vec<String>> = BTreeMap::new();
    for (resource, places) in on {
        let actions = places.into_iter().filter_map(|place| ACTIONS.get(place).copied()).collect();
        statements.entry(actions).or_default().push(resource);
    }
    let allowed = statements.into_iter();
    let allowed = allowed.map(|(actions, resources)| Statement::Allow(On { actions, resources }));
    Ok(allowed.chain(denial(schema)).collect())
}

/// Every action that is permitted somewhere, in the order in which they are written.
const ACTIONS: &[&str] = &[
    "GetItem",
    "BatchGetItem",
    "ConditionCheckItem",
    "Query",
    "Scan",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
];

fn actions_on_table(access: Access) -> &'static [&'static str] {
    match access {
        Access::Read | Access::List(_) | Access::Search => &[],
        Access::Scan => &["Scan"],
        Access::Insert | Access::Replace => &["PutItem"],
        Access::Delete => &["DeleteItem"],
        Access::Increment => &["UpdateItem"],
        Access::Add => &["UpdateItem", "PutItem"],
    }
}

/// Returns the actions on the system table, which holds a guard for each unique value and an item for each search term.
fn actions_on_system(access: Access, collection: &Collection) -> &'static [&'static str] {
    let has_items = !collection.search.is_empty() || !collection.uniques.is_empty();
    match access {
        Access::Search => &["Query"],
        _ if access.is_write() && has_items => &["PutItem", "DeleteItem"],
        _ => &[],
    }
}

/// Keeps everybody from changing what is append-only, also with the permissions of a policy that somebody attaches later.
fn denial(schema: &Schema) -> Option<Statement> {
    let protected = schema.collections().iter().filter(|collection| collection.append_only);
    let resources: Vec<_> = protected
        .flat_map(|collection| [collection.name.to_owned(), format!("{}/*", collection.name)])
        .collect();
    let denial = On { actions: APPENDING.to_vec(), resources };
    (!denial.resources.is_empty()).then_some(Statement::DenyOther(denial))
}

#[cfg(test)]
mod tests {
    use switchyard_database::{Field, Index, Unique};
    use switchyard_runtime::Access::{Add, Delete, Increment, Insert, List, Read, Replace, Scan, Search};

    use super::*;

    const PLAIN: &Collection = &Collection::new("plain");
    const INDEXED: &Collection = &Collection::new("indexed").fields(&[Field::time("at")]).indexes(&[
        Index::new("by_time").sort(&["at"]),
        Index::new("with_documents").sort(&["at"]).copying_documents(),
    ]);
    const UNIQUE: &Collection = &Collection::new("unique")
        .fields(&[Field::string("email")])
        .uniques(&[Unique::new("email", &["email"])]);
    const SEARCHED: &Collection =
        &Collection::new("searched").fields(&[Field::string("text")]).search(&["text"]);
    const LOG: &Collection = &Collection::new("log").append_only();

    const FUNCTION: Function = Function::new("notes", "Notes");

    fn statements_of(function: &Function) -> Vec<Statement> {
        statements(function, &Schema::new([PLAIN, INDEXED, UNIQUE, SEARCHED]).unwrap()).unwrap()
    }

    /// The actions on a table or an index, in one text.
    fn permitted(function: &Function, resource: &str) -> String {
        let statements = statements_of(function).into_iter();
        let of_resource = statements.filter_map(|statement| match statement {
            Statement::Allow(on) if on.resources.iter().any(|other| other == resource) => {
                Some(on.actions.join(" "))
            }
            Statement::Allow(_) | Statement::DenyOther(_) => None,
        });
        of_resource.collect::<Vec<_>>().join(", ")
    }

    const READING: &str = "GetItem BatchGetItem ConditionCheckItem";

    #[test]
    fn a_function_without_collections_can_only_connect() {
        let connect = On { actions: vec!["GetItem"], resources: vec!["system".to_owned()] };
        assert_eq!(statements_of(&FUNCTION), [Statement::Allow(connect)]);
    }

    #[test]
    fn each_use_of_a_table_has_the_actions_that_it_needs() {
        for (use_of_plain, more) in [
            (&[Read][..], ""),
            (&[Scan], " Scan"),
            (&[Insert], " PutItem"),
            (&[Replace], " PutItem"),
            (&[Delete], " DeleteItem"),
            (&[Increment], " UpdateItem"),
            (&[Add], " PutItem UpdateItem"),
            (&[Delete, Insert], " PutItem DeleteItem"),
        ] {
            let uses: &'static [_] = Box::leak(Box::new([("plain", use_of_plain)]));
            let function = FUNCTION.uses(uses);
            assert_eq!(permitted(&function, "plain"), format!("{READING}{more}"), "{use_of_plain:?}");
            assert_eq!(permitted(&function, "indexed"), "");
            assert_eq!(permitted(&function, "system"), "GetItem");
        }
    }

    #[test]
    fn an_index_is_queried_by_its_name_on_dynamodb_and_no_other_one_is() {
        let function = FUNCTION.uses(&[("indexed", &[List("with_documents")])]);
        assert_eq!(permitted(&function, "indexed"), READING);
        assert_eq!(permitted(&function, "indexed/index/with_documents-documents"), "Query");
        assert_eq!(permitted(&function, "indexed/index/by_time"), "");
    }

    #[test]
    fn the_system_table_is_written_with_guards_and_terms_and_queried_for_terms() {
        let system = |uses| permitted(&FUNCTION.uses(uses), "system");
        assert_eq!(system(&[("unique", &[Read])]), "GetItem");
        assert_eq!(system(&[("unique", &[Replace])]), "GetItem PutItem DeleteItem");
        assert_eq!(system(&[("searched", &[Search])]), "GetItem Query");
        assert_eq!(system(&[("searched", &[Insert, Search])]), "GetItem Query PutItem DeleteItem");
    }

    #[test]
    fn what_is_append_only_is_protected_from_every_function() {
        let schema = Schema::new([PLAIN, LOG]).unwrap();
        for function in [FUNCTION, FUNCTION.uses(&[("log", &[Insert])])] {
            let Some(Statement::DenyOther(on)) = statements(&function, &schema).unwrap().pop() else {
                panic!("nothing is denied");
            };
            assert_eq!(on.resources, ["log", "log/*"]);
            for action in ["UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLDelete", "DeleteTable"] {
                assert!(!on.actions.contains(&action), "{action}");
            }
        }
        for access in [&[Replace][..], &[Delete], &[Insert, Delete]] {
            let uses: &'static [_] = Box::leak(Box::new([("log", access)]));
            let refused = statements(&FUNCTION.uses(uses), &schema).unwrap_err().to_string();
            assert!(refused.contains("which is append-only"), "{refused}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused() {
        let refused = |uses| {
            statements(&FUNCTION.uses(uses), &Schema::new([INDEXED]).unwrap()).unwrap_err().to_string()
        };
        assert_eq!(
            refused(&[("plane", &[Read])]),
            "the function `notes` declares the unknown collection `plane`"
        );
        assert_eq!(
            refused(&[("indexed", &[List("by_name")])]),
            "the function `notes` declares the unknown index `by_name` of `indexed`"
        );
    }
}
