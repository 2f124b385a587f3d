//! Routes under `/books`.

mod books;
mod filter;

use switchyard_books::Books;
use switchyard_identity::Identity;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes.
pub fn router(identity: Identity) -> OpenApiRouter {
    let books = Books::new(identity.kernel().clone());
    let routes = OpenApiRouter::new()
        .routes(routes!(books::list_books, books::create_book))
        .routes(routes!(books::get_book, books::replace_book, books::update_book, books::delete_book))
        .with_state(books);
    OpenApiRouter::new().nest("/api/v1", routes)
}
