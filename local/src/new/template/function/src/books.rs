//! Books of users.

use axum::extract::State;
use switchyard_api::{
    ApiResult, Conditional, Created, Json, NoContent, Page, PageParams, Paged, Patch, Path, SignedIn, Tagged,
    codes, operation_errors,
};
use switchyard_books::codes::BOOK_LIMIT_REACHED;
use switchyard_books::{Book, BookFields, BookId, Books};
use switchyard_kernel::MergePatch;

use crate::filter::BookQuery;

operation_errors!(ListBooksErrors: codes::FORBIDDEN);

/// Lists books.
///
/// With `books:read` the books of all users, otherwise those of the caller. The latest come first, unless `q` asks
/// for words.
#[utoipa::path(get, path = "/books", tag = "books", security(("bearer" = [])),
    params(PageParams, BookQuery),
    responses((status = 200, description = "A page of books.", body = Page<Book>), ListBooksErrors))]
pub(crate) async fn list_books(
    SignedIn(context): SignedIn,
    State(books): State<Books>,
    Paged { page, filter }: Paged<BookQuery>,
) -> ApiResult<Json<Page<Book>>> {
    Ok(Json(books.list(&context, &filter.into(), &page).await?))
}

operation_errors!(CreateBookErrors: codes::FORBIDDEN, BOOK_LIMIT_REACHED);

/// Creates a book.
///
/// It belongs to the caller. A user may have up to 1000 books.
#[utoipa::path(post, path = "/books", tag = "books", security(("bearer" = [])),
    responses(
        (status = 201, description = "The book.", body = Book, headers(("ETag"))),
        CreateBookErrors,
    ))]
pub(crate) async fn create_book(
    SignedIn(context): SignedIn,
    State(books): State<Books>,
    Json(fields): Json<BookFields>,
) -> ApiResult<Created<Book>> {
    let book = books.create(&context, &fields).await?;
    Ok(Created::tagged(format!("/api/v1/books/{}", book.value.id), book))
}

/// Reads a book.
///
/// Requires its owner, or `books:read`. For everyone else it does not exist.
#[utoipa::path(get, path = "/books/{id}", tag = "books", security(("bearer" = [])),
    params(("id" = BookId, Path, description = "The book's id.")),
    responses((status = 200, description = "The book.", body = Book, headers(("ETag")))))]
pub(crate) async fn get_book(
    SignedIn(context): SignedIn,
    State(books): State<Books>,
    Path(id): Path<BookId>,
) -> ApiResult<Tagged<Book>> {
    Ok(Tagged(books.get(&context, id).await?))
}

operation_errors!(ChangeBookErrors: codes::FORBIDDEN);

/// Replaces a book.
///
/// Requires its owner, or `books:write`. Fields that are left out are removed.
#[utoipa::path(put, path = "/books/{id}", tag = "books", security(("bearer" = [])),
    params(("id" = BookId, Path, description = "The book's id.")),
    responses((status = 200, description = "The book.", body = Book, headers(("ETag"))), ChangeBookErrors))]
pub(crate) async fn replace_book(
    SignedIn(context): SignedIn,
    State(books): State<Books>,
    Path(id): Path<BookId>,
    Conditional(precondition): Conditional,
    Json(fields): Json<BookFields>,
) -> ApiResult<Tagged<Book>> {
    let replace = |_: &BookFields| Ok(fields.clone());
    Ok(Tagged(books.edit(&context, id, &precondition, replace).await?))
}

/// Changes a book.
///
/// Requires its owner, or `books:write`. `null` removes a field.
#[utoipa::path(patch, path = "/books/{id}", tag = "books", security(("bearer" = [])),
    params(("id" = BookId, Path, description = "The book's id.")),
    request_body(content = BookFields, content_type = MergePatch::MEDIA_TYPE),
    responses((status = 200, description = "The book.", body = Book, headers(("ETag"))), ChangeBookErrors))]
pub(crate) async fn update_book(
    SignedIn(context): SignedIn,
    State(books): State<Books>,
    Path(id): Path<BookId>,
    Conditional(precondition): Conditional,
    Patch(patch): Patch,
) -> ApiResult<Tagged<Book>> {
    let apply = |present: &BookFields| patch.apply_to(present);
    Ok(Tagged(books.edit(&context, id, &precondition, apply).await?))
}

operation_errors!(DeleteBookErrors: codes::FORBIDDEN, codes::PRECONDITION_FAILED);

/// Deletes a book.
///
/// Requires its owner, or `books:write`.
#[utoipa::path(delete, path = "/books/{id}", tag = "books", security(("bearer" = [])),
    params(("id" = BookId, Path, description = "The book's id.")),
    responses((status = 204, description = "The book is deleted."), DeleteBookErrors))]
pub(crate) async fn delete_book(
    SignedIn(context): SignedIn,
    State(books): State<Books>,
    Path(id): Path<BookId>,
    Conditional(precondition): Conditional,
) -> ApiResult<NoContent> {
    books.delete(&context, id, &precondition).await?;
    Ok(NoContent)
}
