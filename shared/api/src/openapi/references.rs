//! Ensures that each schema is written once: a copy of a component becomes a reference to it, and unused
//! components are removed.

use std::collections::BTreeSet;

use serde_json::Value;
use utoipa::openapi::schema::ArrayItems;
use utoipa::openapi::{OpenApi, Ref, RefOr, Schema};

use super::{EXAMPLE_REFERENCE, SCHEMA_REFERENCE, Schemas};

/// Replaces copies of components inside other components by references. A generic type such as a page contains
/// a copy of its items' schema.
pub(super) fn refer(schemas: &mut Schemas) {
    let known = schemas.clone();
    for (name, schema) in schemas {
        let RefOr::T(Schema::Object(object)) = schema else { continue };
        for property in object.properties.values_mut() {
            let place = match property {
                RefOr::T(Schema::Array(array)) => match &mut array.items {
                    ArrayItems::RefOrSchema(items) => &mut **items,
                    ArrayItems::False => continue,
                },
                other => other,
            };
            let is_object = matches!(place, RefOr::T(Schema::Object(inner)) if !inner.properties.is_empty());
            let component = || known.iter().find(|(other, known)| *other != name && **known == *place);
            if is_object && let Some((component, _)) = component() {
                *place = RefOr::Ref(Ref::from_schema_name(component));
            }
        }
    }
}

/// Removes the schemas and the examples that nothing refers to.
pub(super) fn prune(document: &mut OpenApi) {
    loop {
        let mut used = BTreeSet::new();
        collect(&serde_json::to_value(&*document).unwrap_or_default(), &mut used);
        let Some(components) = &mut document.components else { return };
        let before = components.schemas.len() + components.examples.len();
        components.schemas.retain(|name, _| used.contains(&format!("{SCHEMA_REFERENCE}{name}")));
        components.examples.retain(|name, _| used.contains(&format!("{EXAMPLE_REFERENCE}{name}")));
        if components.schemas.len() + components.examples.len() == before {
            return;
        }
    }
}

fn collect(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            used.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect(member, used));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, used)),
        _ => {}
    }
}
