use switchyard_database::{Collection, Schema};
use switchyard_runtime::{Access, Function};

/// What the DynamoDB backend calls to read documents, and to check in a transaction that they are unchanged.
const READ: &[&str] = &["GetItem", "BatchGetItem", "Query", "ConditionCheckItem"];
/// What it calls to read and write documents, alone or in a transaction.
const READ_AND_WRITE: &[&str] =
    &["GetItem", "BatchGetItem", "Query", "ConditionCheckItem", "PutItem", "UpdateItem", "DeleteItem"];

/// Permits actions on tables and their indexes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// Actions of DynamoDB.
    pub(super) actions: Vec<&'static str>,
    /// Tables by their names after the prefix, as `users`; their indexes as `users/index/*`.
    pub(super) resources: Vec<String>,
}

/// Returns what a function needs to use the collections that it declares, on the tables of `schema`.
///
/// # Errors
///
/// If it declares a collection that `schema` does not have.
pub(super) fn statements(function: &Function, schema: &Schema) -> anyhow::Result<Vec<Statement>> {
    check_collections(function, schema)?;
    let allowed = |access| {
        let collections = schema.collections().iter().copied();
        collections.filter(move |collection| function.allows(access, collection.name))
    };
    let used: Vec<_> = allowed(Access::Read).collect();
    let (written, read): (Vec<_>, Vec<_>) =
        used.iter().partition(|collection| function.allows(Access::Write, collection.name));
    let indexed = used.iter().filter(|collection| !collection.indexes.is_empty());
    let name = |collection: &Collection| collection.name.to_owned();
    let statements = [
        Statement {
            actions: READ_AND_WRITE.to_vec(),
            resources: written.iter().copied().map(name).collect(),
        },
        Statement { actions: READ.to_vec(), resources: read.iter().copied().map(name).collect() },
        Statement {
            actions: vec!["Query"],
            resources: indexed.map(|collection| format!("{}/index/*", collection.name)).collect(),
        },
        Statement { actions: vec!["Scan"], resources: allowed(Access::Scan).map(name).collect() },
        Statement { actions: system_actions(&used, &written), resources: vec!["system".to_owned()] },
    ];
    Ok(statements.into_iter().filter(|statement| !statement.resources.is_empty()).collect())
}

fn check_collections(function: &Function, schema: &Schema) -> anyhow::Result<()> {
    for (_, name) in function.accesses() {
        let is_known = schema.collections().iter().any(|collection| collection.name == name);
        anyhow::ensure!(
            is_known,
            "the function `{}` declares the unknown collection `{name}`",
            function.name
        );
    }
    Ok(())
}

/// Returns the actions that a function needs on the system table. The table holds a guard for each unique value and an item
/// for each search term. Every function reads from it at its start, to connect to the database.
fn system_actions(used: &[&Collection], written: &[&Collection]) -> Vec<&'static str> {
    let is_searched = |collection: &&Collection| !collection.search.is_empty();
    let has_items = |collection: &&Collection| is_searched(collection) || !collection.uniques.is_empty();
    let mut actions = vec!["GetItem"];
    if used.iter().any(is_searched) {
        actions.push("Query");
    }
    if written.iter().any(has_items) {
        actions.extend(["PutItem", "DeleteItem"]);
    }
    actions
}

#[cfg(test)]
mod tests {
    use switchyard_database::{Field, Index, Unique};

    use super::*;

    const PLAIN: &Collection = &Collection::new("plain");
    const INDEXED: &Collection = &Collection::new("indexed")
        .fields(&[Field::time("at")])
        .indexes(&[Index::new("by_time").sort(&["at"])]);
    const UNIQUE: &Collection = &Collection::new("unique")
        .fields(&[Field::string("email")])
        .uniques(&[Unique::new("email", &["email"])]);
    const SEARCHED: &Collection =
        &Collection::new("searched").fields(&[Field::string("text")]).search(&["text"]);

    const FUNCTION: Function = Function::new("notes", "Notes");

    /// The actions on each table and index.
    fn permitted(function: &Function) -> Vec<(String, String)> {
        let schema = Schema::new([PLAIN, INDEXED, UNIQUE, SEARCHED]).unwrap();
        let statements = statements(function, &schema).unwrap().into_iter();
        let permitted = statements.flat_map(|statement| {
            let actions = statement.actions.join(" ");
            statement.resources.into_iter().map(move |resource| (resource, actions.clone()))
        });
        permitted.collect()
    }

    #[track_caller]
    fn assert_permits(function: &Function, expected: &[(&str, &str)]) {
        let permitted = permitted(function);
        let permitted: Vec<_> =
            permitted.iter().map(|(resource, actions)| (resource.as_str(), actions.as_str())).collect();
        assert_eq!(permitted, expected);
    }

    const READING: &str = "GetItem BatchGetItem Query ConditionCheckItem";
    const WRITING: &str = "GetItem BatchGetItem Query ConditionCheckItem PutItem UpdateItem DeleteItem";

    #[test]
    fn a_function_without_collections_can_only_connect() {
        assert_permits(&FUNCTION, &[("system", "GetItem")]);
    }

    #[test]
    fn a_collection_is_written_only_if_that_is_declared() {
        assert_permits(
            &FUNCTION.reads(&["plain"]).writes(&["indexed"]),
            &[("indexed", WRITING), ("plain", READING), ("indexed/index/*", "Query"), ("system", "GetItem")],
        );
    }

    #[test]
    fn a_collection_is_scanned_only_if_that_is_declared() {
        assert_permits(
            &FUNCTION.scans(&["plain"]),
            &[("plain", READING), ("plain", "Scan"), ("system", "GetItem")],
        );
    }

    #[test]
    fn the_system_table_is_written_with_guards_and_terms_and_queried_for_terms() {
        let system = |function| permitted(&function).pop().unwrap().1;
        assert_eq!(system(FUNCTION.reads(&["unique"])), "GetItem");
        assert_eq!(system(FUNCTION.writes(&["unique"])), "GetItem PutItem DeleteItem");
        assert_eq!(system(FUNCTION.reads(&["searched"])), "GetItem Query");
        assert_eq!(system(FUNCTION.writes(&["searched"])), "GetItem Query PutItem DeleteItem");
    }

    #[test]
    fn an_unknown_collection_is_refused() {
        let refused = statements(&FUNCTION.reads(&["plane"]), &Schema::new([PLAIN]).unwrap()).unwrap_err();
        assert_eq!(refused.to_string(), "the function `notes` declares the unknown collection `plane`");
    }
}
