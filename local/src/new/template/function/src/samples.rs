//! A sample of each operation that has a path parameter or a body.

use switchyard_api::testing::{Sample, json};
use switchyard_books::{BookFields, Books};
use switchyard_identity::Identity;
use switchyard_kernel::Context;

/// Returns samples about a book of `owner`.
///
/// # Panics
///
/// If the book cannot be created.
pub async fn samples(identity: &Identity, owner: &Context) -> Vec<Sample> {
    let title = "A Short History".parse().expect("the title is valid");
    let fields = BookFields { title, description: None };
    let books = Books::new(identity.kernel().clone());
    let book = books.create(owner, &fields).await.expect("the book can be created");
    let path = format!("/api/v1/books/{}", book.value.id);
    vec![
        Sample::new("create_book", "/api/v1/books").body(json!({"title": "Created"})),
        Sample::new("get_book", &path),
        Sample::new("replace_book", &path).body(json!({"title": "Replaced"})),
        Sample::new("update_book", &path).body(json!({"description": "Updated."})),
        Sample::new("delete_book", &path),
    ]
}
