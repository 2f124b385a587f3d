//! Adds an example to every schema of the document, built from the examples of its fields.

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};

use super::{SCHEMA_REFERENCE, Schemas};

/// How deep schemas that refer to themselves are followed.
const MAX_DEPTH: usize = 8;

/// Adds an example to each schema that has none.
pub(super) fn complete(schemas: &mut Schemas) {
    // In JSON, all kinds of schemas can be read the same way.
    let Ok(Value::Object(written)) = serde_json::to_value(&*schemas) else { return };
    for (name, schema) in schemas {
        let Some(own) = examples_of(schema).filter(|own| own.is_empty()) else { continue };
        own.extend(written.get(name).and_then(|schema| example(schema, &written, 0)));
    }
}

fn examples_of(schema: &mut RefOr<Schema>) -> Option<&mut Vec<Value>> {
    match schema {
        RefOr::T(Schema::Object(object)) => Some(&mut object.examples),
        RefOr::T(Schema::Array(array)) => Some(&mut array.examples),
        RefOr::T(Schema::OneOf(one)) => Some(&mut one.examples),
        RefOr::T(Schema::AllOf(all)) => Some(&mut all.examples),
        RefOr::T(_) | RefOr::Ref(_) => None,
    }
}

/// A value that matches the schema; `None` if the schema allows any value.
fn example(schema: &Value, schemas: &Map<String, Value>, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let of = |inner: &Value| example(inner, schemas, depth + 1);
    if let Some(reference) = schema["$ref"].as_str() {
        return of(schemas.get(reference.strip_prefix(SCHEMA_REFERENCE)?)?);
    }
    for given in [&schema["examples"][0], &schema["example"], &schema["default"], &schema["enum"][0]] {
        if !given.is_null() {
            return Some(given.clone());
        }
    }
    if schema["examples"].as_array().is_some_and(|given| !given.is_empty()) {
        return Some(Value::Null);
    }
    if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        return choices.iter().find(|choice| choice["type"] != "null").and_then(of);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let members = parts.iter().filter_map(of).filter_map(|part| part.as_object().cloned()).flatten();
        return Some(Value::Object(members.collect()));
    }
    match kind(schema)? {
        "object" => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let members = properties.filter_map(|(name, inner)| Some((name.clone(), of(inner)?)));
            Some(Value::Object(members.collect()))
        }
        "array" => Some(Value::Array(of(&schema["items"]).into_iter().collect())),
        "string" => Some(json!(text(schema["format"].as_str().unwrap_or_default()))),
        "integer" | "number" => Some(schema["minimum"].as_i64().map_or(json!(1), Value::from)),
        "boolean" => Some(json!(true)),
        _ => Some(Value::Null),
    }
}

/// The type of a schema; if it has several, the first that is not `null`.
fn kind(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        one => one.as_str(),
    }
}

fn text(format: &str) -> &'static str {
    match format {
        "date" => "2026-03-01",
        "date-time" => "2026-03-01T08:30:00.000Z",
        "email" => "ada@example.com",
        "uuid" => "0190a1b2-0000-7000-8000-000000000001",
        _ => "text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example_of(schema: Value) -> Value {
        let schemas = json!({
            "Line": {"type": "object", "properties": {
                "sku": {"type": "string", "examples": ["A-1"]},
                "quantity": {"type": "integer", "minimum": 1},
            }},
            "Color": {"type": "string", "enum": ["red", "green"]},
        });
        let Value::Object(schemas) = schemas else { unreachable!() };
        example(&schema, &schemas, 0).unwrap()
    }

    #[test]
    fn an_example_is_built_from_those_of_the_fields() {
        let schema = json!({"type": "object", "properties": {
            "at": {"type": "string", "format": "date-time"},
            "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
            "color": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Color"}]},
            "paid": {"type": ["boolean", "null"]},
            "next": {"type": ["string", "null"], "examples": [null]},
            "rest": {},
        }});
        let expected = json!({
            "at": "2026-03-01T08:30:00.000Z", "lines": [{"sku": "A-1", "quantity": 1}], "color": "red", "paid": true,
            "next": null,
        });
        assert_eq!(example_of(schema), expected);
    }

    #[test]
    fn the_example_of_an_all_of_combines_those_of_its_parts() {
        let schema = json!({"allOf": [
            {"$ref": "#/components/schemas/Line"},
            {"type": "object", "properties": {"note": {"type": "string"}}},
        ]});
        assert_eq!(example_of(schema), json!({"sku": "A-1", "quantity": 1, "note": "text"}));
    }
}
