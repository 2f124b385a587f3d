//! The operations of a document, with their methods, and the marks that routers put on them.
//!
//! A mark is an extension of the operation (`x-…`). It is part of the document, so clients see it too, and the layers of
//! [`serve_api`](crate::serve_api) read it from there.

use serde_json::Value;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa_axum::router::UtoipaMethodRouter;

/// Puts a mark on every operation of `routes`.
pub(crate) fn mark<S>(
    (schemas, mut paths, router): UtoipaMethodRouter<S>,
    name: &str,
    value: &Value,
) -> UtoipaMethodRouter<S> {
    for item in paths.paths.values_mut() {
        for (_method, operation) in operations_mut(item) {
            operation.extensions.get_or_insert_default().insert(name.to_owned(), value.clone());
        }
    }
    (schemas, paths, router)
}

/// The value of a mark.
pub(crate) fn marked<'a>(operation: &'a Operation, name: &str) -> Option<&'a Value> {
    operation.extensions.as_ref()?.get(name)
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
