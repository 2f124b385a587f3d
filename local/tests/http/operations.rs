//! The operations of the OpenAPI document.

use axum::http::Method;
use serde_json::Value;

/// An operation of the document.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// The id, as in `get_user`.
    pub(crate) id: String,
    /// The method.
    pub(crate) method: Method,
    /// The path, with parameters in braces.
    pub(crate) path: String,
    /// The permissions that it requires; `None` if it does not require a user.
    pub(crate) permissions: Option<Vec<String>>,
    /// Whether users may call it who must change their password first.
    pub(crate) before_password_change: bool,
    /// Whether it takes a body.
    pub(crate) has_body: bool,
}

/// Returns the operations of the document.
pub(crate) fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(switchyard_fn_system::OPENAPI_JSON).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            // With a requirement that names nothing, a user may be signed in and need not be.
            let requirements = operation["security"].as_array().into_iter().flatten();
            let mut requirements = requirements.map(|requirement| requirement["bearer"].as_array());
            let requires_user = requirements.clone().all(|bearer| bearer.is_some());
            let bearer = requirements.next().flatten().filter(|_| requires_user);
            let names =
                |list: &Vec<Value>| list.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
            operations.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                permissions: bearer.map(names),
                before_password_change: operation["x-limits"].get("before_password_change").is_some(),
                has_body: operation.get("requestBody").is_some(),
            });
        }
    }
    assert!(operations.len() > 30, "the document names the operations");
    operations
}

impl Operation {
    /// Whether the path names an object.
    pub(crate) fn has_parameters(&self) -> bool {
        self.path.contains('{')
    }

    /// The values of the path's parameters in a concrete path; `None` if that is not a path of the operation.
    pub(crate) fn parameters<'a>(&self, path: &'a str) -> Option<Vec<&'a str>> {
        let (pattern, parts) = (self.path.split('/'), path.split('/'));
        if pattern.clone().count() != parts.clone().count() {
            return None;
        }
        let mut values = Vec::new();
        for (pattern, part) in pattern.zip(parts) {
            match pattern.starts_with('{') {
                true if part.is_empty() || part.contains('{') => return None,
                true => values.push(part),
                false if part == pattern => {}
                false => return None,
            }
        }
        Some(values)
    }
}
