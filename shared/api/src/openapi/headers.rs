//! The headers that many requests and answers share.

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Required, Response, Schema};

use super::bodies::exclude_nul;
use super::is_null;

const HEADERS: [(&str, &str, Type); 9] = [
    (
        "Accept-Encoding",
        "`identity`, if the body's `Content-Encoding` is the reason for the answer.",
        Type::String,
    ),
    ("ETag", "The version of the resource.", Type::String),
    ("Location", "The address of the new resource.", Type::String),
    (
        "RateLimit",
        "The number of requests that are left (`r`), and the seconds until the quota is full again (`t`).",
        Type::String,
    ),
    (
        "RateLimit-Policy",
        "The number of requests that are allowed (`q`) in a window of `w` seconds.",
        Type::String,
    ),
    ("Retry-After", "The number of seconds to wait before the next attempt.", Type::Integer),
    ("WWW-Authenticate", "How to authenticate.", Type::String),
    ("X-Request-Id", "The id of the request: the one that the client sent, or a new one.", Type::String),
    ("Idempotency-Replayed", "`true` if this is the stored answer to an earlier request.", Type::String),
];

/// Every common header, by name.
pub(super) fn all() -> impl Iterator<Item = (String, RefOr<Header>)> {
    HEADERS.into_iter().map(|(name, description, kind)| {
        let schema = Schema::Object(ObjectBuilder::new().schema_type(kind).build());
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description));
        (name.to_owned(), RefOr::T(header.build()))
    })
}

/// `*`, or entity tags separated by commas.
const TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$"#;

/// The common request headers, by the names of their components.
pub(super) fn parameters() -> impl Iterator<Item = (String, RefOr<Parameter>)> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    [
        (
            "RequestId",
            "X-Request-Id",
            "An id that you choose for this request: 1 to 128 visible ASCII characters. It appears in the answer \
             and in the server's logs. A malformed id is replaced by a new one.",
            text(),
        ),
        (
            "IfMatch",
            "If-Match",
            "The `ETag` of the version that you read, in its quotes. If the resource has changed since, the answer is \
             412 and nothing is changed. A proxy may have made it weak (`W/\"…\"`); it names the same version.",
            text().pattern(Some(TAGS)),
        ),
        (
            "IfNoneMatchToChange",
            "If-None-Match",
            "The `ETag` of a version, in its quotes, or `*`. If the resource has this version, or with `*` if it \
             exists, the answer is 412 and nothing is changed.",
            text().pattern(Some(TAGS)),
        ),
        (
            "IfNoneMatch",
            "If-None-Match",
            "The `ETag` of the version that you have. If the resource has not changed since, the answer is 304 \
             without a body.",
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

/// A parameter is text: an optional one can be left out but is never `null`, unlike in the schema of an
/// `Option`. It must not contain U+0000, as text in a body must not.
pub(super) fn complete_parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && let Some(schema) = &mut parameter.schema
        {
            exclude_null(schema);
            if let RefOr::T(Schema::Object(object)) = schema {
                exclude_nul(object);
            }
        }
    }
}

fn exclude_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => remove_null(&mut object.schema_type),
        RefOr::T(Schema::Array(array)) => remove_null(&mut array.schema_type),
        RefOr::T(Schema::OneOf(one)) => {
            one.items.retain(|item| !is_null(item));
            if let [only] = &one.items[..] {
                *schema = only.clone();
            }
        }
        RefOr::T(_) | RefOr::Ref(_) => {}
    }
}

fn remove_null(kind: &mut SchemaType) {
    if let SchemaType::Array(kinds) = kind {
        kinds.retain(|kind| *kind != Type::Null);
        if let [only] = &kinds[..] {
            *kind = SchemaType::Type(only.clone());
        }
    }
}

/// Adds the headers of an answer with this status.
pub(super) fn add(method: &str, status: &str, response: &mut Response, limited: bool) {
    let mut names = vec!["X-Request-Id"];
    match status {
        "201" => names.extend(["Location", "Idempotency-Replayed"]),
        "200" | "202" | "204" if method == "POST" => names.push("Idempotency-Replayed"),
        "401" => names.push("WWW-Authenticate"),
        "415" => names.push("Accept-Encoding"),
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
