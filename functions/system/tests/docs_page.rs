//! Tests the script of the page `/docs/`, in Node.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use serde_json::{Value, json};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// Runs the page's script at this address. Returns what it told Swagger UI.
fn run_page(address: &str) -> Value {
    let file = |name: &str| format!("{FOLDER}/{name}");
    let mut node = Command::new("node");
    node.arg(file("tests/docs_page.mjs")).arg(file("swagger-ui/swagger-initializer.js"));
    let output = node.arg(file("openapi.json")).arg(address).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The parameters of all operations, with references to schemas replaced.
fn parameters(document: &Value) -> Vec<Value> {
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
    let lists = operations.filter_map(|(_, operation)| operation.get("parameters"));
    let mut parameters: Vec<Value> = lists.flat_map(|list| list.as_array().unwrap()).cloned().collect();
    for parameter in &mut parameters {
        let reference = parameter["schema"]["$ref"].as_str().unwrap_or_default();
        if let Some(name) = reference.strip_prefix("#/components/schemas/") {
            parameter["schema"] = document["components"]["schemas"][name].clone();
        }
    }
    parameters
}

fn has_example(parameter: &Value) -> bool {
    [parameter, &parameter["schema"]].into_iter().any(|holder| holder.get("example").is_some())
}

#[test]
fn the_forms_of_the_page_begin_empty() {
    let written: Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{FOLDER}/openapi.json")).unwrap()).unwrap();
    let prefilled: Vec<_> = parameters(&written).into_iter().filter(has_example).collect();
    assert!(prefilled.iter().any(|parameter| parameter["name"] == "q"), "the document has examples");
    let shown = &run_page("http://localhost:3000/docs/")["shown"];
    let (before, now) = (parameters(&written), parameters(shown));
    assert_eq!(before.len(), now.len());
    assert_eq!(now.into_iter().filter(has_example).collect::<Vec<_>>(), Vec::<Value>::new());
}

#[test]
fn the_page_asks_the_api_below_whose_path_it_is_served() {
    for (address, server) in [
        ("http://localhost:3000/docs/", "/"),
        ("https://api.example.com/shop/docs/#/auth", "/shop"),
        ("https://api.example.com/a/b/docs/index.html", "/a/b"),
    ] {
        let page = run_page(address);
        assert_eq!(
            (&page["url"], &page["servers"]),
            (&json!("../openapi.json"), &json!([{ "url": server }]))
        );
    }
}

#[test]
fn the_page_takes_over_the_token_of_a_log_in_until_the_log_out() {
    let page = run_page("http://localhost:3000/docs/");
    let scheme = page["shown"]["components"]["securitySchemes"].as_object().unwrap().keys().next().unwrap();
    assert_eq!(page["calls"], json!([["authorize", scheme, "of a log-in"], ["forget", scheme]]));
}
