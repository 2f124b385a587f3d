//! What the conventions say about request bodies: unknown fields are refused, so is the character U+0000, and a patch may
//! leave everything out.

use std::collections::BTreeSet;

use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{AdditionalProperties, KnownFormat, Object, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};

use super::{JSON, SCHEMA_REFERENCE, Schemas, is_null};
use switchyard_kernel::MergePatch;

/// The database cannot keep U+0000, so no text has it.
const TEXT: &str = r"^[^\u0000]*$";

/// Closes every object that a request may hold, and gives merge patches schemas of their own.
pub(super) fn complete(operation: &mut Operation, schemas: &mut Schemas) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content
            && let Some(schema) = &mut content.schema
            && let Some(present) = present_one(schema)
        {
            *schema = present; // that there may be no body is said by `required`
        }
    }
    if let Some(RefOr::T(mut patch)) = body.content.remove(MergePatch::MEDIA_TYPE) {
        if let Some(schema) = &mut patch.schema {
            *schema = patch_of(schema, schemas);
        }
        // Both types are accepted, and mean the same.
        body.content.insert(JSON.to_owned(), RefOr::T(patch.clone()));
        body.content.insert(MergePatch::MEDIA_TYPE.to_owned(), RefOr::T(patch));
    }
    let mut seen = BTreeSet::new();
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content
            && let Some(schema) = &mut content.schema
        {
            close(schema, schemas, &mut seen);
        }
    }
}

/// What an optional schema describes when it is not `null`.
fn present_one(schema: &RefOr<Schema>) -> Option<RefOr<Schema>> {
    let RefOr::T(Schema::OneOf(one)) = schema else { return None };
    match one.items.as_slice() {
        [present, null] | [null, present] if is_null(null) && !is_null(present) => Some(present.clone()),
        _ => None,
    }
}

fn close(schema: &mut RefOr<Schema>, schemas: &mut Schemas, seen: &mut BTreeSet<String>) {
    match schema {
        RefOr::Ref(reference) => {
            let Some(name) = reference.ref_location.strip_prefix(SCHEMA_REFERENCE).map(ToOwned::to_owned)
            else {
                return;
            };
            if seen.insert(name.clone())
                && let Some(mut target) = schemas.get(&name).cloned()
            {
                close(&mut target, schemas, seen);
                schemas.insert(name, target);
            }
        }
        RefOr::T(Schema::Object(object)) => {
            if object.additional_properties.is_none() && !object.properties.is_empty() {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
            object.properties.values_mut().for_each(|property| close(property, schemas, seen));
            keep_out_nul(object);
        }
        RefOr::T(Schema::Array(array)) => {
            if let utoipa::openapi::schema::ArrayItems::RefOrSchema(items) = &mut array.items {
                close(items, schemas, seen);
            }
        }
        RefOr::T(Schema::OneOf(one)) => one.items.iter_mut().for_each(|item| close(item, schemas, seen)),
        // The parts of an `allOf` see each other's fields as unknown, so they stay open.
        RefOr::T(_) => {}
    }
}

/// Says of text that is free otherwise that it has no U+0000.
pub(super) fn keep_out_nul(object: &mut Object) {
    let is_text = match &object.schema_type {
        SchemaType::Type(kind) => *kind == Type::String,
        SchemaType::Array(kinds) => kinds.contains(&Type::String),
        SchemaType::AnyValue => false,
    };
    let is_free = matches!(object.format, None | Some(SchemaFormat::KnownFormat(KnownFormat::Password)));
    if is_text && is_free && object.pattern.is_none() && object.enum_values.is_none() {
        object.pattern = Some(TEXT.to_owned());
    }
}

/// The schema of a merge patch for what `schema` describes: nothing is required, and what may be absent may be `null`.
fn patch_of(schema: &RefOr<Schema>, schemas: &mut Schemas) -> RefOr<Schema> {
    match schema {
        RefOr::Ref(reference) => {
            let Some(name) = reference.ref_location.strip_prefix(SCHEMA_REFERENCE) else {
                return schema.clone();
            };
            let patch_name = format!("{name}Patch");
            if !schemas.contains_key(&patch_name) {
                let Some(target) = schemas.get(name).filter(|target| has_fields(target)).cloned() else {
                    return schema.clone();
                };
                schemas.insert(patch_name.clone(), target.clone()); // so that a recursive schema ends
                let patch = patch_of(&target, schemas);
                schemas.insert(patch_name.clone(), patch);
            }
            RefOr::Ref(Ref::from_schema_name(patch_name))
        }
        RefOr::T(Schema::Object(object)) => {
            let mut patch: Object = object.clone();
            for (name, property) in &mut patch.properties {
                *property = patch_of(property, schemas);
                if !object.required.contains(name) {
                    allow_null(property);
                }
            }
            patch.required.clear();
            RefOr::T(Schema::Object(patch))
        }
        RefOr::T(_) => schema.clone(),
    }
}

fn has_fields(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if !object.properties.is_empty())
}

fn allow_null(property: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = property
        && let SchemaType::Type(kind) = &object.schema_type
    {
        object.schema_type = SchemaType::from_iter([kind.clone(), Type::Null]);
    }
}
