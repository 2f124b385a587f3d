//! The OpenAPI document: what the routers declare is what the file says, and it says what OpenAPI 3.1 asks for.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p switchyard-local --test openapi` rewrites the file.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use switchyard_ambient::Ambient;
use switchyard_database::Db;
use switchyard_identity::testing;
use switchyard_runtime::Metrics;
use switchyard_sqlite::Sqlite;

/// The document of all routers.
fn generate() -> String {
    let ambient = Ambient::system();
    let db = Db::new(Arc::new(Sqlite::in_memory(ambient.clone()).unwrap()), ambient);
    let identity = switchyard_program::assemble(db.clone(), testing::kernel_settings(), testing::settings());
    let router = switchyard_local::router(&db, &Metrics::in_process().unwrap(), &identity);
    let document = switchyard_api::complete(router.into_openapi(), switchyard_domains::ALL);
    one_line_each(&document.to_pretty_json().unwrap())
}

/// Puts each operation and each component on one line. The file then has few lines, and a change of an
/// operation is a change of one line.
fn one_line_each(pretty: &str) -> String {
    // Operations are below `paths` and a path, and components are below `components` and a kind.
    const INDENT: usize = 6;
    let mut text = String::new();
    for line in pretty.lines() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if indent > INDENT || indent == INDENT && content.starts_with(['}', ']']) {
            text.pop(); // the line break
            text.push_str(if text.ends_with(',') { " " } else { "" });
            text.push_str(content);
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    text
}

fn document() -> Value {
    serde_json::from_str(&generate()).unwrap()
}

/// Every operation with its method and path.
fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (format!("{method} {path}"), operation))
    })
}

/// What a reference within the document points to; anything else is itself.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} points outside"));
            document.pointer(pointer).unwrap_or_else(|| panic!("{reference} points nowhere"))
        }
        None => value,
    }
}

#[test]
fn the_file_is_what_the_routers_declare() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/system/openapi.json");
    let generated = generate();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap();
    let same = written == generated;
    assert!(
        same,
        "functions/system/openapi.json is not what the routers declare; UPDATE_SNAPSHOTS=1 rewrites it"
    );
}

#[test]
fn every_operation_is_documented() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        assert!(ids.insert(id.to_owned()) && !id.is_empty(), "{name} needs an operationId of its own");
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(summary.ends_with('.'), "{name} needs a summary that is a sentence");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name} needs a tag");
        let tag = &operation["tags"][0];
        let is_described =
            document["tags"].as_array().unwrap().iter().any(|described| described["name"] == *tag);
        assert!(is_described, "{name}: the tag {tag} has no description");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolve(&document, parameter);
            assert!(
                parameter["description"].is_string(),
                "{name}: {} needs a description",
                parameter["name"]
            );
            assert!(parameter["schema"].is_object(), "{name}: {} needs a schema", parameter["name"]);
        }
    }
}

#[test]
fn every_answer_is_described_with_an_example() {
    let document = document();
    for (name, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name} never succeeds");
        for (status, response) in responses {
            let response = resolve(&document, response);
            assert!(response["description"].is_string(), "{name}: {status} needs a description");
            for (media_type, content) in response["content"].as_object().into_iter().flatten() {
                assert!(has_example(&document, content), "{name}: {status} {media_type} needs an example");
            }
        }
        for (media_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            assert!(has_example(&document, content), "{name}: the body as {media_type} needs an example");
        }
    }
}

fn has_example(document: &Value, content: &Value) -> bool {
    let schema = resolve(document, &content["schema"]);
    !content["example"].is_null() || !content["examples"].is_null() || !schema["examples"].is_null()
}

#[test]
fn examples_are_what_their_schemas_describe() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        for example in schema["examples"].as_array().into_iter().flatten() {
            fits(&document, schema, example).unwrap_or_else(|fault| panic!("the example of {name}: {fault}"));
        }
    }
}

/// As much of JSON Schema as the document uses.
fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolve(document, schema);
    if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let any = choices.iter().any(|choice| fits(document, choice, value).is_ok());
        return if any { Ok(()) } else { Err(format!("{value} is none of the choices")) };
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.iter().any(|accepted| *accepted == actual || (*accepted == "number" && actual == "integer")) {
        return Err(format!("{value} is not of type {types:?}"));
    }
    if let Some(choices) = schema["enum"].as_array()
        && !choices.contains(value)
    {
        return Err(format!("{value} is not one of {choices:?}"));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], item)?;
    }
    if let Some(members) = value.as_object() {
        for required in schema["required"].as_array().into_iter().flatten() {
            let name = required.as_str().unwrap_or_default();
            members.get(name).ok_or_else(|| format!("{name} is missing"))?;
        }
        for (name, member) in members {
            match &schema["properties"][name] {
                Value::Null if schema["additionalProperties"] == Value::Bool(false) => {
                    return Err(format!("{name} is unknown"));
                }
                property => fits(document, property, member).map_err(|fault| format!("{name}: {fault}"))?,
            }
        }
    }
    Ok(())
}

/// A domain that declared a code of the conventions would answer with two meanings of it.
#[test]
fn no_domain_declares_a_code_of_the_conventions() {
    for code in switchyard_domains::ALL.iter().flat_map(|manifest| manifest.codes) {
        assert!(switchyard_api::codes::OWN.iter().all(|own| own.name() != code.name()), "{code}");
    }
}

#[test]
fn every_error_code_is_declared_with_its_status() {
    let document = document();
    for (name, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let status: u16 = status.parse().unwrap();
            if status < 400 {
                continue;
            }
            let response = resolve(&document, response);
            let examples = response["content"]["application/json"]["examples"].as_object();
            let examples = examples.unwrap_or_else(|| panic!("{name}: {status} names no code"));
            for (code, example) in examples {
                // The document has an example for each code that a manifest declares, under its name and status.
                let declared = format!("#/components/examples/{code}_{status}");
                assert_eq!(example["$ref"], declared, "{name}");
                assert_eq!(resolve(&document, example)["value"]["error"]["code"], **code, "{name}: {status}");
            }
        }
    }
}

#[test]
fn every_reference_points_somewhere_and_every_component_is_referred_to() {
    let document = document();
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    for reference in &references {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} points outside"));
        assert!(document.pointer(pointer).is_some(), "{reference} points nowhere");
    }
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(references.contains(&reference), "nothing refers to {reference}");
        }
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                references.insert(reference.to_owned());
            }
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

#[test]
fn every_path_parameter_is_declared_and_the_other_way_round() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let in_path: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let parameters = parameters.map(|parameter| resolve(&document, parameter));
            let declared: BTreeSet<&str> = parameters
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            assert_eq!(declared, in_path, "{method} {path}");
        }
    }
}
