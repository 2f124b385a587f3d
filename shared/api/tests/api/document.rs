use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use switchyard_api::complete;

use crate::harness::TestApi;
use crate::sample;

/// The document with the shared errors written out in each operation.
async fn document() -> Value {
    let mut document = shared_document().await;
    let errors = document["components"]["responses"].take();
    let operations = document["paths"].as_object_mut().unwrap().values_mut();
    let operations = operations.flat_map(|item| item.as_object_mut().unwrap().values_mut());
    for response in
        operations.flat_map(|operation| operation["responses"].as_object_mut().unwrap().values_mut())
    {
        if let Some(reference) = response["$ref"].as_str() {
            *response = errors[reference.trim_start_matches("#/components/responses/")].clone();
        }
    }
    document
}

async fn shared_document() -> Value {
    let api = TestApi::new().await;
    let router = sample::router(api.db.clone(), Arc::clone(&api.probe));
    serde_json::to_value(complete(router.into_openapi(), &[&sample::MANIFEST])).unwrap()
}

fn codes(operation: &Value, status: &str) -> Vec<String> {
    let examples = &operation["responses"][status]["content"]["application/json"]["examples"];
    examples.as_object().map(|examples| examples.keys().cloned().collect()).unwrap_or_default()
}

fn statuses(operation: &Value) -> Vec<&str> {
    operation["responses"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn an_operation_lists_every_status_and_code_of_the_conventions() {
    let document = document().await;
    let create = &document["paths"]["/notes"]["post"];
    assert_eq!(
        statuses(create),
        ["201", "400", "401", "403", "409", "413", "415", "422", "429", "500", "503"]
    );
    assert_eq!(codes(create, "401"), ["TOKEN_EXPIRED", "TOKEN_INVALID", "UNAUTHENTICATED"]);
    assert_eq!(codes(create, "409"), ["IDEMPOTENCY_ANSWER_LOST", "IDEMPOTENCY_IN_PROGRESS"]);
    let read = &document["paths"]["/notes/{id}"]["get"];
    assert_eq!(statuses(read), ["200", "304", "400", "401", "403", "404", "429", "500", "503"]);
    assert_eq!(codes(read, "403"), ["PASSWORD_CHANGE_REQUIRED"]);
    let text = &document["paths"]["/text/{length}"]["get"];
    assert_eq!(statuses(text), ["200", "400", "404", "500", "503"]);
}

#[tokio::test]
async fn codes_with_the_same_status_share_an_answer() {
    let document = document().await;
    let login = &document["paths"]["/login"]["post"];
    assert_eq!(codes(login, "423"), ["ACCOUNT_LOCKED"]);
    assert_eq!(codes(login, "401"), ["INVALID_CREDENTIALS"]);
    assert_eq!(codes(login, "429"), ["RATE_LIMITED"]);
    let pay = &document["paths"]["/payments/{account}"]["post"];
    assert_eq!(codes(pay, "400"), ["IDEMPOTENCY_KEY_REQUIRED", "VALIDATION_ERROR"]);
    let description = pay["responses"]["400"]["description"].as_str().unwrap();
    assert!(description.contains("`IDEMPOTENCY_KEY_REQUIRED`") && description.contains("`VALIDATION_ERROR`"));
}

fn parameters<'a>(document: &'a Value, operation: &'a Value) -> Vec<(&'a str, bool)> {
    let resolve = |parameter: &'a Value| match parameter["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => parameter,
    };
    let parameters = operation["parameters"].as_array().unwrap().iter().map(resolve);
    parameters.map(|one| (one["name"].as_str().unwrap(), one["required"] == true)).collect()
}

#[tokio::test]
async fn common_headers_are_parameters_of_the_operations_that_read_them() {
    let document = document().await;
    let of = |path: &str, method: &str| parameters(&document, &document["paths"][path][method]);
    assert_eq!(of("/notes/{id}", "get"), [("id", true), ("If-None-Match", false), ("X-Request-Id", false)]);
    for method in ["put", "patch", "delete"] {
        let conditional =
            [("id", true), ("If-Match", false), ("If-None-Match", false), ("X-Request-Id", false)];
        assert_eq!(of("/notes/{id}", method), conditional);
    }
    assert_eq!(of("/login", "post"), [("Idempotency-Key", false), ("X-Request-Id", false)]);
    assert_eq!(of("/payments/{account}", "post")[0], ("Idempotency-Key", true));
    let list = of("/notes", "get");
    assert_eq!(
        list,
        [
            ("limit", false),
            ("cursor", false),
            ("color", false),
            ("newest_first", false),
            ("X-Request-Id", false)
        ]
    );
}

#[tokio::test]
async fn bodies_refuse_unknown_fields_and_patches_require_nothing() {
    let document = document().await;
    let schemas = &document["components"]["schemas"];
    for name in ["NoteInput", "Tag", "Credentials", "NoteInputPatch"] {
        assert_eq!(schemas[name]["additionalProperties"], false, "{name}");
    }
    assert_eq!(schemas["NoteInput"]["required"], serde_json::json!(["text"]));
    assert_eq!(schemas["NoteInputPatch"].get("required"), None);
    let content = document["paths"]["/notes/{id}"]["patch"]["requestBody"]["content"].as_object().unwrap();
    let types: Vec<_> = content.keys().map(String::as_str).collect();
    assert_eq!(types, ["application/json", "application/merge-patch+json"]);
    for content in content.values() {
        assert_eq!(content["schema"]["$ref"], "#/components/schemas/NoteInputPatch");
    }
}

#[tokio::test]
async fn every_example_has_a_reference_and_every_reference_a_target() {
    let document = document().await;
    let examples = document["components"]["examples"].as_object().unwrap();
    assert_eq!(examples["ACCOUNT_LOCKED_423"]["value"]["error"]["message"], "The account is locked.");
    let mut references = BTreeSet::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 20);
    for name in examples.keys() {
        assert!(references.contains(format!("#/components/examples/{name}").as_str()), "{name} is not used");
    }
    for reference in references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} has no target");
    }
}

fn collect_references<'a>(value: &'a Value, references: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| collect_references(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, references)),
        _ => {}
    }
}

#[tokio::test]
async fn every_answer_has_a_description() {
    let document = document().await;
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    for (status, response) in operations.flat_map(|operation| operation["responses"].as_object().unwrap()) {
        assert!(
            response["description"].as_str().is_some_and(|text| text.ends_with('.')),
            "{status}: {response}"
        );
    }
    assert_eq!(document["paths"]["/erase"]["post"]["responses"]["202"]["description"], "Accepted.");
}

#[tokio::test]
async fn operations_with_the_same_errors_refer_to_one_component() {
    let document = shared_document().await;
    let error = |path: &str, method: &str, status: &str| {
        let reference = &document["paths"][path][method]["responses"][status]["$ref"];
        reference.as_str().unwrap().trim_start_matches("#/components/responses/").to_owned()
    };
    assert_eq!(error("/notes/{id}", "get", "404"), "NOT_FOUND_404_limited");
    assert_eq!(error("/notes/{id}", "patch", "404"), "NOT_FOUND_404_limited");
    assert_eq!(error("/notes", "post", "401"), "TOKEN_EXPIRED-TOKEN_INVALID-UNAUTHENTICATED_401");
    // This operation has no rate limit, and so no headers of one.
    assert_eq!(error("/text/{length}", "get", "404"), "NOT_FOUND_404");
    let header = |name: &str| &document["components"]["responses"][name]["headers"]["RateLimit"];
    assert_eq!(header("NOT_FOUND_404"), &Value::Null);
    assert_ne!(header("NOT_FOUND_404_limited"), &Value::Null);
}

#[tokio::test]
async fn the_document_is_of_version_3_1_and_names_the_security_scheme() {
    let document = document().await;
    assert_eq!(document["openapi"], "3.1.0");
    let scheme = &document["components"]["securitySchemes"]["bearer"];
    assert_eq!((&scheme["scheme"], &scheme["bearerFormat"]), (&"bearer".into(), &"JWT".into()));
}

#[tokio::test]
async fn a_single_operation_reads_like_this() {
    let document = document().await;
    insta::assert_json_snapshot!(document["paths"]["/erase"]["post"]);
}

#[tokio::test]
async fn marks_of_an_operation_are_part_of_the_document() {
    let document = document().await;
    let cart = &document["paths"]["/carts"]["post"];
    assert_eq!(
        cart["x-limits"]["rate_limited_by"],
        serde_json::json!({ "name": "shop", "requests": 40, "minutes": 15 })
    );
    assert_eq!(codes(cart, "429"), ["RATE_LIMITED"]);
    for (path, mark) in [("/login", "address"), ("/refresh", "failures_of_address")] {
        assert_eq!(document["paths"][path]["post"]["x-limits"]["rate_limited_by"], mark);
    }
    let webhook = &document["paths"]["/webhook"]["post"];
    assert_eq!(webhook["x-limits"]["max_body_bytes"], 2048);
    let too_large = &webhook["responses"]["413"]["description"];
    assert_eq!(too_large, "`PAYLOAD_TOO_LARGE`: The body is larger than 2 KiB.");
}
