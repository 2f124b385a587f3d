//! The OpenAPI document: what the routers declare, plus what follows from the conventions.

mod bodies;
mod errors;
mod examples;
mod headers;
pub(crate) mod operations;
mod references;

use std::collections::{BTreeMap, HashMap};

use axum::http::{HeaderName, StatusCode};
use switchyard_kernel::{ErrorCode, Manifest};
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, Schema, Server};

use crate::authentication::{Authentication, is_before_password_change};
use crate::idempotency::IDEMPOTENCY_KEY;
use crate::input::BodyLimit;
use crate::rate_limit::{CountedBy, by_address};
use crate::{IdempotencyKey, codes};

pub use errors::error_responses;

use operations::{operations, operations_mut};

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// The prefix of a reference to a schema of the components.
const SCHEMA_REFERENCE: &str = "#/components/schemas/";
const EXAMPLE_REFERENCE: &str = "#/components/examples/";
const JSON: &str = "application/json";

/// The name of the security scheme. An operation for signed-in users declares `security(("bearer" = []))`, with
/// the permissions that it requires in the list.
pub const BEARER: &str = "bearer";

/// Adds to every operation what follows from the conventions, and the codes and permissions that `manifests`
/// declare.
///
/// - For signed-in callers: 401; 403 until a password that somebody else has seen is changed, and if permissions are named;
///   429 with the rate limit's headers.
/// - 400, for unknown parameters if for nothing else. 413 and 415, except for GET. With a body: no unknown fields. With
///   path parameters: 404.
/// - POST: `Idempotency-Key` with its 409 and 422.
/// - GET whose 200 has an `ETag`: `If-None-Match` and 304. PUT, PATCH and DELETE with an `ETag` or a 412: `If-Match` and
///   `If-None-Match`.
/// - Without security requirements: an empty list of them.
/// - Everywhere: 500, 503, `X-Request-Id`, and an example for each error code and each schema.
pub fn complete(mut document: OpenApi, manifests: &[&Manifest]) -> OpenApi {
    let mut components = document.components.take().unwrap_or_default();
    references::refer(&mut components.schemas);
    components.schemas.insert(errors::SCHEMA.to_owned(), errors::schema(manifests));
    list_permissions(&mut components.schemas, manifests);
    components.examples.extend(errors::examples(manifests));
    components.headers.extend(headers::all());
    components.parameters.extend(headers::parameters());
    components.security_schemes.insert(BEARER.to_owned(), RefOr::T(bearer()));
    for item in document.paths.paths.values_mut() {
        for (method, operation) in operations_mut(item) {
            complete_operation(method, operation);
            bodies::complete(operation, &mut components.schemas);
            errors::share(operation, &mut components.responses);
        }
    }
    examples::complete(&mut components.schemas);
    document.components = Some(components);
    // What a missing list means too, but some generators need it.
    document.servers.get_or_insert_with(|| vec![Server::new("/")]);
    references::prune(&mut document);
    document
}

/// Lists the declared permissions in the schema of their names.
fn list_permissions(schemas: &mut Schemas, manifests: &[&Manifest]) {
    if let Some(RefOr::T(Schema::Object(names))) = schemas.get_mut("Permission") {
        let declared = manifests.iter().flat_map(|manifest| manifest.permissions);
        names.enum_values = Some(declared.map(|permission| permission.name().into()).collect());
    }
}

/// What the layers need to know about an operation.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// What its requests are counted by.
    pub(crate) counted_by: CountedBy,
    /// Whether only signed-in users may call it.
    pub(crate) users_only: bool,
    /// Whether users may call it who must change their password first.
    pub(crate) before_password_change: bool,
    /// The cookies that it reads.
    pub(crate) cookies: Vec<String>,
    /// The headers that it reads, beside those of the conventions.
    pub(crate) headers: Vec<HeaderName>,
    /// Whether it has query parameters.
    pub(crate) has_query: bool,
    /// Whether it has a body.
    pub(crate) has_body: bool,
    /// How large its bodies may be.
    pub(crate) body_limit: BodyLimit,
}

impl Declared {
    /// Whether the operation's handler runs for this caller. If not, it answers 401.
    pub(crate) fn admits(&self, caller: &Authentication) -> bool {
        match caller {
            Authentication::User(_) => true,
            Authentication::Anonymous => !self.users_only,
            // A public operation ignores the token.
            Authentication::Refused(_) => !self.counted_by.user,
        }
    }
}

/// What each operation declares, by path pattern and method.
pub(crate) type DeclaredOperations = HashMap<String, HashMap<&'static str, Declared>>;

/// Reads from a document what the layers need to know.
pub(crate) fn declared_operations(document: &OpenApi) -> DeclaredOperations {
    let paths = document.paths.paths.iter();
    let by_method =
        |item| operations(item).map(|(method, operation)| (method, declared(operation))).collect();
    paths.map(|(path, item)| (path.clone(), by_method(item))).collect()
}

fn declared(operation: &Operation) -> Declared {
    let named = |place: ParameterIn| {
        let here = parameters(operation).filter(move |parameter| parameter.parameter_in == place);
        here.map(|parameter| parameter.name.clone())
    };
    let own = |name: &HeaderName| *name != IDEMPOTENCY_KEY;
    Declared {
        counted_by: counted_by(operation),
        users_only: is_for_users_only(operation),
        before_password_change: is_before_password_change(operation),
        cookies: named(ParameterIn::Cookie).collect(),
        headers: named(ParameterIn::Header).filter_map(|name| name.parse().ok()).filter(own).collect(),
        has_query: named(ParameterIn::Query).next().is_some(),
        has_body: operation.request_body.is_some(),
        body_limit: BodyLimit::of(operation),
    }
}

fn counted_by(operation: &Operation) -> CountedBy {
    CountedBy { address: by_address(operation), user: permissions(operation).is_some() }
}

fn complete_operation(method: &str, operation: &mut Operation) {
    // The empty list says that nobody has forgotten it.
    operation.security.get_or_insert_default();
    let permissions = permissions(operation);
    let signed_in = permissions.is_some();
    let limited = counted_by(operation).is_limited();
    let places: Vec<ParameterIn> =
        parameters(operation).map(|parameter| parameter.parameter_in.clone()).collect();
    let in_path = places.contains(&ParameterIn::Path);
    let has_body = operation.request_body.is_some();

    let mut codes = vec![codes::INTERNAL_ERROR, codes::UNAVAILABLE];
    if method == "POST" {
        codes.extend(complete_idempotency(operation));
    }
    complete_preconditions(method, operation, &mut codes);
    if signed_in {
        codes.extend([codes::UNAUTHENTICATED, codes::ACCESS_TOKEN_EXPIRED, codes::ACCESS_TOKEN_INVALID]);
    }
    if signed_in && !is_before_password_change(operation) {
        codes.push(codes::PASSWORD_CHANGE_REQUIRED);
    }
    if permissions.is_some_and(|permissions| !permissions.is_empty()) {
        codes.push(codes::FORBIDDEN);
    }
    if limited {
        codes.push(codes::RATE_LIMITED);
    }
    // Unknown query parameters are refused, and also a body that an operation does not have.
    codes.push(codes::VALIDATION_ERROR);
    if has_body || method != "GET" {
        codes.extend([codes::PAYLOAD_TOO_LARGE, codes::UNSUPPORTED_MEDIA_TYPE]);
    }
    if in_path {
        codes.push(codes::NOT_FOUND);
    }
    for code in codes {
        errors::add(&mut operation.responses.responses, code);
    }
    let too_large = BodyLimit::of(operation).message();
    if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut("413") {
        answer.description = answer.description.replace(codes::PAYLOAD_TOO_LARGE.message(), &too_large);
    }
    add_parameter(operation, "RequestId", "X-Request-Id");
    headers::complete_parameters(operation);
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response {
            headers::add(method, status, response, limited);
            describe(status, response);
        }
    }
}

/// OpenAPI 3.1 requires a description for every answer. For most, the name of the status is enough.
fn describe(status: &str, response: &mut Response) {
    if response.description.is_empty() {
        let status = StatusCode::from_bytes(status.as_bytes()).ok();
        let reason = status.and_then(|status| status.canonical_reason()).unwrap_or("An answer");
        response.description = format!("{reason}.");
    }
}

/// The permissions that a signed-in caller needs; `None` for a public operation.
fn permissions(operation: &Operation) -> Option<Vec<String>> {
    requirements(operation).into_iter().find_map(|mut one| one.remove(BEARER))
}

/// Whether every security requirement of an operation includes a token.
fn is_for_users_only(operation: &Operation) -> bool {
    let requirements = requirements(operation);
    !requirements.is_empty() && requirements.iter().all(|one| one.contains_key(BEARER))
}

/// The security requirements of an operation, of which a caller must meet one: schemes with their permissions.
fn requirements(operation: &Operation) -> Vec<BTreeMap<String, Vec<String>>> {
    // The fields of a requirement are private, so they are read from its JSON.
    let requirements = operation.security.iter().flatten();
    requirements.filter_map(|one| serde_json::from_value(serde_json::to_value(one).ok()?).ok()).collect()
}

fn complete_idempotency(operation: &mut Operation) -> Vec<ErrorCode> {
    let own = parameters(operation).find(|parameter| parameter.name == "Idempotency-Key").cloned();
    let mut codes =
        vec![codes::IDEMPOTENCY_IN_PROGRESS, codes::IDEMPOTENCY_ANSWER_LOST, codes::IDEMPOTENCY_KEY_REUSED];
    match own {
        Some(parameter) if parameter.required == Required::True => {
            codes.push(codes::IDEMPOTENCY_KEY_REQUIRED);
        }
        Some(_) => {}
        None => {
            let parameter = IdempotencyKey::parameter(Required::False);
            operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
        }
    }
    codes
}

fn complete_preconditions(method: &str, operation: &mut Operation, codes: &mut Vec<ErrorCode>) {
    let tagged = operation.responses.responses.get("200").is_some_and(has_etag);
    if method == "GET" && tagged {
        add_parameter(operation, "IfNoneMatch", "If-None-Match");
        let unchanged = ResponseBuilder::new().description("The client's copy is current.");
        operation
            .responses
            .responses
            .entry("304".to_owned())
            .or_insert_with(|| RefOr::T(unchanged.header("ETag", Header::default()).build()));
    }
    let guarded = operation.responses.responses.contains_key("412");
    if matches!(method, "PUT" | "PATCH" | "DELETE") && (tagged || guarded) {
        add_parameter(operation, "IfMatch", "If-Match");
        add_parameter(operation, "IfNoneMatchToChange", "If-None-Match");
        codes.push(codes::PRECONDITION_FAILED);
    }
}

fn has_etag(response: &RefOr<Response>) -> bool {
    matches!(response, RefOr::T(response) if response.headers.contains_key("ETag"))
}

fn parameters(operation: &Operation) -> impl Iterator<Item = &Parameter> {
    operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    })
}

/// Adds a reference to one of the common parameters, unless the operation has its own parameter of that name.
fn add_parameter(operation: &mut Operation, component: &str, name: &str) {
    if parameters(operation).all(|parameter| parameter.name != name) {
        let reference = Ref::new(format!("#/components/parameters/{component}"));
        operation.parameters.get_or_insert_default().push(RefOr::Ref(reference));
    }
}

fn bearer() -> SecurityScheme {
    SecurityScheme::Http(
        HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("The access token that `/auth/login` and `/auth/refresh` return."))
            .build(),
    )
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}
