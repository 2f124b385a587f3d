//! The operations of a document, with their methods, and the marks that routers put on them.
//!
//! The marks of an operation are its extension `x-limits`. It is part of the document, so clients see it too, and the layers
//! of [`serve_api`](crate::serve_api) read it from there.

use serde_json::{Value, json};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa_axum::router::UtoipaMethodRouter;

/// The extension with all marks. The extensions of an operation have no order: if each mark was one, the document would not
/// always be the same.
const MARKS: &str = "x-limits";

/// Puts a mark on every operation of `routes`.
pub(crate) fn mark<S>(
    (schemas, mut paths, router): UtoipaMethodRouter<S>,
    name: &str,
    value: &Value,
) -> UtoipaMethodRouter<S> {
    for item in paths.paths.values_mut() {
        for (_method, operation) in operations_mut(item) {
            let extensions = operation.extensions.get_or_insert_default();
            let marks = extensions.entry(MARKS.to_owned()).or_insert_with(|| json!({}));
            marks[name] = value.clone();
        }
    }
    (schemas, paths, router)
}

/// The value of a mark.
pub(crate) fn marked<'a>(operation: &'a Operation, name: &str) -> Option<&'a Value> {
    operation.extensions.as_ref()?.get(MARKS)?.get(name)
}

/// The operations of a path, with their methods.
pub(crate) fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    [
        ("GET", &item.get),
        ("PUT", &item.put),
        ("POST", &item.post),
        ("DELETE", &item.delete),
        ("PATCH", &item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// Like [`operations`], to change them.
pub(crate) fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("GET", &mut item.get),
        ("PUT", &mut item.put),
        ("POST", &mut item.post),
        ("DELETE", &mut item.delete),
        ("PATCH", &mut item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}
