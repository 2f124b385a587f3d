//! The headers that many answers and requests have in common.

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Required, Response, Schema};

use super::bodies::keep_out_nul;
use super::is_null;

const HEADERS: [(&str, &str, Type); 8] = [
    ("ETag", "The version of the resource.", Type::String),
    ("Location", "Where the new resource is.", Type::String),
    ("RateLimit", "What is left of the rate limit, and the seconds until it is full again.", Type::String),
    ("RateLimit-Policy", "How many requests are allowed in how many seconds.", Type::String),
    ("Retry-After", "In how many seconds to try again.", Type::Integer),
    ("WWW-Authenticate", "How to authenticate.", Type::String),
    ("X-Request-Id", "The id of the request: the client's own, or a new one.", Type::String),
    ("Idempotency-Replayed", "`true` on an answer that was given before.", Type::String),
];

/// Every common header, by name.
pub(super) fn all() -> impl Iterator<Item = (String, RefOr<Header>)> {
    HEADERS.into_iter().map(|(name, description, kind)| {
        let schema = Schema::Object(ObjectBuilder::new().schema_type(kind).build());
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description));
        (name.to_owned(), RefOr::T(header.build()))
    })
}

/// The common request headers, by the names of their components.
pub(super) fn parameters() -> impl Iterator<Item = (String, RefOr<Parameter>)> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    [
        (
            "RequestId",
            "X-Request-Id",
            "An id of your own for this request: 1 to 128 characters of visible ASCII. It is in the answer and in our \
             logs; another one takes the place of what is no such id.",
            text(),
        ),
        (
            "IfMatch",
            "If-Match",
            "The `ETag` that you read: somebody else's change in between is answered with 412.",
            text(),
        ),
        (
            "IfNoneMatch",
            "If-None-Match",
            "The `ETag` that you have: where it is still good the answer is 304.",
            text(),
        ),
    ]
    .into_iter()
    .map(|(component, name, description, schema)| {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(RefOr::T(Schema::Object(schema.build()))));
        (component.to_owned(), RefOr::T(parameter.build()))
    })
}

/// A parameter is text, so an optional one can be left out but never be `null`, as the schema of an `Option` has it; and
/// it is held to what the text of a body is held to.
pub(super) fn complete_parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && let Some(schema) = &mut parameter.schema
        {
            without_null(schema);
            if let RefOr::T(Schema::Object(object)) = schema {
                keep_out_nul(object);
            }
        }
    }
}

fn without_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => forbid(&mut object.schema_type),
        RefOr::T(Schema::Array(array)) => forbid(&mut array.schema_type),
        RefOr::T(Schema::OneOf(one)) => {
            one.items.retain(|item| !is_null(item));
            if let [only] = &one.items[..] {
                *schema = only.clone();
            }
        }
        RefOr::T(_) | RefOr::Ref(_) => {}
    }
}

fn forbid(kind: &mut SchemaType) {
    if let SchemaType::Array(kinds) = kind {
        kinds.retain(|kind| *kind != Type::Null);
        if let [only] = &kinds[..] {
            *kind = SchemaType::Type(only.clone());
        }
    }
}

/// Adds the headers that an answer of this status has.
pub(super) fn add(method: &str, status: &str, response: &mut Response, limited: bool) {
    let mut names = vec!["X-Request-Id"];
    match status {
        "201" => names.extend(["Location", "Idempotency-Replayed"]),
        "200" | "202" | "204" if method == "POST" => names.push("Idempotency-Replayed"),
        "401" => names.push("WWW-Authenticate"),
        "429" | "503" => names.push("Retry-After"),
        _ => {}
    }
    if limited && status != "401" {
        names.extend(["RateLimit", "RateLimit-Policy"]);
    }
    for (own, _, _) in HEADERS {
        if response.headers.contains_key(own) {
            names.push(own);
        }
    }
    for name in names {
        let reference = Ref::new(format!("#/components/headers/{name}"));
        response.headers.insert(name.to_owned(), RefOr::Ref(reference));
    }
}
