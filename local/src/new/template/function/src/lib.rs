//! Routes under `/books`.

mod books;
mod filter;
#[cfg(feature = "testing")]
pub mod samples;

use switchyard_books::Books;
use switchyard_identity::Identity;
use switchyard_runtime::Access::{Delete, Insert, List, Read, Replace, Search};
use switchyard_runtime::Function;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the function declares.
pub const FUNCTION: Function = Function::new("books", "Books")
    .routes(&["/api/v1/books", "/api/v1/books/{proxy+}"])
    .uses(&[
        ("books", &[Read, List("by_owner"), List("by_creation"), Search, Insert, Replace, Delete]),
        ("book_counts", &[Read, Insert, Replace]),
    ])
    .secrets(&["AUDIT_KEY"]);

/// The routes.
pub fn router(identity: Identity) -> OpenApiRouter {
    let books = Books::new(identity.kernel().clone());
    let routes = OpenApiRouter::new()
        .routes(routes!(books::list_books, books::create_book))
        .routes(routes!(books::get_book, books::replace_book, books::update_book, books::delete_book))
        .with_state(books);
    OpenApiRouter::new().nest("/api/v1", routes)
}
