//! The conventions for request bodies: unknown fields and the character U+0000 are refused, and every field of
//! a patch may be left out.

use std::collections::BTreeSet;

use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{AdditionalProperties, KnownFormat, Object, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};

use super::{JSON, SCHEMA_REFERENCE, Schemas, is_null};
use switchyard_kernel::MergePatch;

/// The pattern of a text. The database cannot store U+0000, so no text contains it.
const TEXT: &str = r"^[^\u0000]*$";

/// Forbids unknown fields in every object of a request's body, and gives merge patches their own schemas.
pub(super) fn complete(operation: &mut Operation, schemas: &mut Schemas) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content
            && let Some(schema) = &mut content.schema
            && let Some(present) = present_one(schema)
        {
            *schema = present; // `required` already says that the body may be left out
        }
    }
    if let Some(RefOr::T(mut patch)) = body.content.remove(MergePatch::MEDIA_TYPE) {
        if let Some(schema) = &mut patch.schema {
            *schema = patch_of(schema, schemas);
        }
        // Both types are accepted and have the same meaning.
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

/// The schema inside an optional schema: one of the two alternatives is `null`.
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
            exclude_nul(object);
        }
        RefOr::T(Schema::Array(array)) => {
            if let utoipa::openapi::schema::ArrayItems::RefOrSchema(items) = &mut array.items {
                close(items, schemas, seen);
            }
        }
        RefOr::T(Schema::OneOf(one)) => one.items.iter_mut().for_each(|item| close(item, schemas, seen)),
        // The fields of one part of an `allOf` are unknown to the other parts, so the parts must allow unknown
        // fields.
        RefOr::T(_) => {}
    }
}

/// Adds a pattern that excludes U+0000 to a text that has no format, pattern or enumeration.
pub(super) fn exclude_nul(object: &mut Object) {
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

/// The schema of a merge patch for `schema`: no field is required, and optional fields may be `null`.
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
                schemas.insert(patch_name.clone(), target.clone()); // ends the recursion of a recursive schema
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
