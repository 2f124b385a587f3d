//! Helper functions for the cases.

use serde_json::Value;
use switchyard_ambient::Timestamp;

use crate::{Body, Collection, Document, Expect, Key, Operation};

/// The ids of `documents`, in the same order.
pub(crate) fn ids(documents: &[Document]) -> Vec<String> {
    documents.iter().map(|document| document.key.id().to_owned()).collect()
}

/// Converts expected pages of ids into the form in which they are read.
pub(crate) fn pages_of(pages: &[&[&str]]) -> Vec<Vec<String>> {
    pages.iter().map(|page| page.iter().map(|&id| id.to_owned()).collect()).collect()
}

/// The key of a document.
pub(crate) fn key(collection: &'static Collection, id: &str) -> Key {
    Key::new(collection, id).expect("the id is valid")
}

/// Converts a JSON object into a body.
pub(crate) fn body(value: Value) -> Body {
    match value {
        Value::Object(body) => body,
        other => panic!("a body must be an object, not {other}"),
    }
}

pub(crate) fn create(collection: &'static Collection, id: &str, body: Value) -> Operation {
    create_until(collection, id, body, None)
}

pub(crate) fn create_until(
    collection: &'static Collection,
    id: &str,
    content: Value,
    expires_at: impl Into<Option<Timestamp>>,
) -> Operation {
    Operation::Create { key: key(collection, id), body: body(content), expires_at: expires_at.into() }
}

/// Replaces the content, and keeps the expiry time.
pub(crate) fn replace(previous: &Document, content: Value) -> Operation {
    Operation::Replace { previous: previous.clone(), body: body(content), expires_at: previous.expires_at }
}

pub(crate) fn delete(previous: &Document) -> Operation {
    Operation::Delete { previous: previous.clone() }
}

pub(crate) fn increment(
    collection: &'static Collection,
    id: &str,
    field: &'static str,
    by: i64,
) -> Operation {
    Operation::Increment { key: key(collection, id), field, by, at_least: None }
}

pub(crate) fn check(collection: &'static Collection, id: &str, expect: Expect) -> Operation {
    Operation::Check { key: key(collection, id), expect }
}

pub(crate) fn increment_at_least(
    collection: &'static Collection,
    id: &str,
    field: &'static str,
    by: i64,
    at_least: i64,
) -> Operation {
    Operation::Increment { key: key(collection, id), field, by, at_least: Some(at_least) }
}

/// Runs `tasks` concurrently. Returns their results in the order of the tasks.
pub(crate) async fn at_once<T, F>(tasks: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic())));
    }
    results
}

pub(crate) fn replace_until(
    previous: &Document,
    content: Value,
    expires_at: impl Into<Option<Timestamp>>,
) -> Operation {
    Operation::Replace { previous: previous.clone(), body: body(content), expires_at: expires_at.into() }
}
