//! Samples of operations, for the tests that go through every operation of the API.
//!
//! A function exports the samples of its operations, so that such a test knows no path parameter and no body
//! itself: a function `samples` that is given a user who has just registered, creates objects for this user,
//! and returns a [`Sample`] for each operation with a path parameter or a body.
//! `local/tests/http/requests.rs` lists these functions.
//!
//! - It is called with a new user before each request, so a sample can be of a deletion.
//! - The request must succeed for that user. If the document names permissions, it must succeed for another
//!   user who has these permissions and no others.
//! - A change must change something, because it has to leave an entry in the audit log.

pub use serde_json::json;

use serde_json::Value;

/// A request that succeeds: the path and the body that an operation needs.
///
/// ```
/// use switchyard_api::testing::{Sample, json};
///
/// let sample = Sample::new("update_note", "/api/v1/notes/17").body(json!({"text": "Milk"}));
/// # assert_eq!(sample.body.unwrap()["text"], "Milk");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The id of the operation in the API's document.
    pub operation_id: &'static str,
    /// The path, with objects that exist in place of the parameters.
    pub path: String,
    /// The body, if the operation takes one.
    pub body: Option<Value>,
}

impl Sample {
    /// A sample of the operation, without a body.
    pub fn new(operation_id: &'static str, path: impl Into<String>) -> Self {
        Self { operation_id, path: path.into(), body: None }
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}
