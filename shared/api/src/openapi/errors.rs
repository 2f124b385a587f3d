//! Error answers in the document: the status, the message and an example of each code.

use std::collections::BTreeMap;
use std::iter::once;

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Response, ResponseBuilder, Schema};

use switchyard_kernel::{ErrorCode, Manifest};

use super::{EXAMPLE_REFERENCE, JSON};
use crate::ApiError;
use crate::error::{codes, envelope, status_of};

/// The name of the envelope's schema.
pub(super) const SCHEMA: &str = "Error";
const EXAMPLE_REQUEST_ID: &str = "0190a5f4-6f0e-7cc4-8a5e-5d9c0b1f3f55";

/// Declares the error codes of an operation, for its `responses(..)`. [`complete`](crate::complete) adds those
/// that follow from the conventions (401, 403, 404, 413, …).
///
/// ```
/// use switchyard_api::{codes, operation_errors};
///
/// operation_errors!(RenameErrors: codes::CONFLICT, codes::STEP_UP_REQUIRED);
///
/// #[utoipa::path(post, path = "/rename", responses((status = 204), RenameErrors))]
/// async fn rename() {}
/// ```
#[macro_export]
macro_rules! operation_errors {
    ($(#[$meta:meta])* $visibility:vis $name:ident: $($code:expr),+ $(,)?) => {
        $(#[$meta])*
        #[doc = "The error codes of an operation, in addition to those that follow from the conventions."]
        #[derive(Clone, Copy, Debug)]
        $visibility struct $name;

        impl ::utoipa::IntoResponses for $name {
            fn responses() -> ::std::collections::BTreeMap<
                ::std::string::String,
                ::utoipa::openapi::RefOr<::utoipa::openapi::Response>,
            > {
                $crate::error_responses(&[$($code),+])
            }
        }
    };
}

/// The answers with these codes, by status.
pub fn error_responses(codes: &[ErrorCode]) -> BTreeMap<String, RefOr<Response>> {
    let mut responses = BTreeMap::new();
    for &code in codes {
        add(&mut responses, code);
    }
    responses
}

/// Adds a code to the answers of an operation. Codes with the same status share an answer.
pub(super) fn add(responses: &mut BTreeMap<String, RefOr<Response>>, code: ErrorCode) {
    let response = responses
        .entry(status_of(code).as_u16().to_string())
        .or_insert_with(|| RefOr::T(ResponseBuilder::new().build()));
    let RefOr::T(response) = response else { return };
    let content = response.content.entry(JSON.to_owned()).or_insert_with(|| {
        RefOr::T(ContentBuilder::new().schema(Some(Ref::from_schema_name(SCHEMA))).build())
    });
    let RefOr::T(content) = content else { return };
    if content.examples.contains_key(code.name()) {
        return;
    }
    let example = Ref::new(format!("{EXAMPLE_REFERENCE}{}", example_name(code)));
    content.examples.insert(code.name().to_owned(), RefOr::Ref(example));
    if !response.description.is_empty() {
        response.description.push_str("\n\n");
    }
    response.description.push_str(&format!("`{}`: {}", code.name(), code.message()));
}

/// Moves the error answers of an operation to the components, so that operations with the same errors refer
/// to one component.
pub(super) fn share(operation: &mut Operation, components: &mut BTreeMap<String, RefOr<Response>>) {
    for (status, response) in &mut operation.responses.responses {
        let Some(name) = component_name(status, response) else { continue };
        // Answers that differ in other things than those of the name, such as in their words, are numbered.
        let names = once(name.clone()).chain((2..).map(|number| format!("{name}_{number}")));
        for name in names {
            let component = components.entry(name.clone()).or_insert_with(|| response.clone());
            if component == response {
                *response = RefOr::Ref(Ref::from_response_name(name));
                break;
            }
        }
    }
}

/// The name of an error answer, as in `NOT_FOUND_404_limited`: its codes, its status, and whether it has the
/// headers of the rate limit. `None` for other answers.
fn component_name(status: &str, response: &RefOr<Response>) -> Option<String> {
    let RefOr::T(response) = response else { return None };
    let RefOr::T(content) = response.content.get(JSON)? else { return None };
    let codes: Vec<&str> = content.examples.keys().map(String::as_str).collect();
    let is_error = status.starts_with(['4', '5']) && !codes.is_empty();
    let limited = if response.headers.contains_key("RateLimit") { "_limited" } else { "" };
    is_error.then(|| format!("{}_{status}{limited}", codes.join("-")))
}

/// Every code of the conventions and of `manifests`.
fn all_codes(manifests: &[&Manifest]) -> impl Iterator<Item = ErrorCode> {
    let of_domains = manifests.iter().flat_map(|manifest| manifest.codes);
    switchyard_kernel::codes::ALL.iter().chain(codes::OWN).chain(of_domains).copied()
}

/// The example of every code, by name.
pub(super) fn examples(manifests: &[&Manifest]) -> impl Iterator<Item = (String, RefOr<Example>)> {
    all_codes(manifests).map(|code| {
        let example = ExampleBuilder::new().summary(code.message()).value(Some(example(code)));
        (example_name(code), RefOr::T(example.build()))
    })
}

fn example(code: ErrorCode) -> serde_json::Value {
    let mut error = ApiError::new(code);
    if let Some((path, fault)) = code.example() {
        error = error.detail(path, fault);
    }
    serde_json::to_value(envelope(&error, EXAMPLE_REQUEST_ID)).unwrap_or_default()
}

/// The name of a code's example, as in `NOT_FOUND_404`. One name can be used with two statuses.
fn example_name(code: ErrorCode) -> String {
    format!("{}_{}", code.name(), status_of(code).as_u16())
}

/// The schema of the envelope.
pub(super) fn schema(manifests: &[&Manifest]) -> RefOr<Schema> {
    let text =
        |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    let mut codes: Vec<_> = all_codes(manifests).map(ErrorCode::name).collect();
    codes.sort_unstable();
    codes.dedup();
    let details = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("The fault of each invalid field, by the field's path, as in `items[0].quantity`."))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(Schema::Object(
            ObjectBuilder::new().schema_type(Type::String).build(),
        )))));
    let error = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("code", text("The kind of the error, for programs.").enum_values(Some(codes)))
        .property("message", text("What went wrong and what to do about it, for people."))
        .property("details", details)
        .property("request_id", text("The id of the request, also in `X-Request-Id`."))
        .required("code")
        .required("message")
        .required("details")
        .required("request_id")
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    let envelope = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .description(Some("The body of every error answer."))
        .property("error", error)
        .required("error")
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    RefOr::T(Schema::Object(envelope.build()))
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::path::OperationBuilder;

    use super::*;

    #[test]
    fn equal_answers_share_a_component_and_others_are_numbered() {
        let mut components = BTreeMap::new();
        let mut reference = |description: &str| {
            let mut operation = OperationBuilder::new().build();
            add(&mut operation.responses.responses, codes::PAYLOAD_TOO_LARGE);
            if let Some(RefOr::T(response)) = operation.responses.responses.get_mut("413") {
                response.description = description.to_owned();
            }
            share(&mut operation, &mut components);
            match &operation.responses.responses["413"] {
                RefOr::Ref(reference) => reference.ref_location.clone(),
                RefOr::T(_) => panic!("the answer is not shared"),
            }
        };
        let references = ["1 MiB", "2 KiB", "1 MiB", "2 KiB"].map(&mut reference);
        let name = "#/components/responses/PAYLOAD_TOO_LARGE_413";
        assert_eq!(references, [name, &format!("{name}_2"), name, &format!("{name}_2")]);
        assert_eq!(components.len(), 2);
    }
}
