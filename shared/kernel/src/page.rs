//! Lists, a page at a time.

use serde::Serialize;
use switchyard_database::TypedPage;
use utoipa::ToSchema;

/// Which page of a list to return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many items the page has at most, 1 to 1000.
    pub limit: u32,
    /// The `next_cursor` of the previous page; `None` for the first page.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// The first page, of up to `limit` items.
    pub fn first(limit: u32) -> Self {
        Self { limit, cursor: None }
    }

    /// The page that follows one which ended with `cursor`.
    pub fn after(limit: u32, cursor: impl Into<String>) -> Self {
        Self { limit, cursor: Some(cursor.into()) }
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub data: Vec<T>,
    /// Where the page ends.
    pub pagination: Pagination,
}

/// Where a page ends, and how to continue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pagination {
    /// How many items the page could have.
    #[schema(minimum = 1, maximum = 100, example = 20)]
    pub limit: u32,
    /// What to send as `cursor` to get the next page; `null` on the last page.
    #[schema(required, examples(json!(null)))]
    pub next_cursor: Option<String>,
    /// Whether there is a next page.
    #[schema(example = false)]
    pub has_more: bool,
}

impl<T> Page<T> {
    /// The page of `data` that answers `request` and continues at `next_cursor`.
    pub fn new(data: Vec<T>, request: &PageRequest, next_cursor: Option<String>) -> Self {
        let pagination = Pagination { limit: request.limit, has_more: next_cursor.is_some(), next_cursor };
        Self { data, pagination }
    }

    /// The page of documents that answers `request`, each as `show` shows it.
    pub fn of<E>(page: TypedPage<E>, request: &PageRequest, show: impl Fn(&E) -> T) -> Self {
        Self::new(page.items.iter().map(|item| show(item)).collect(), request, page.next)
    }

    /// What to pass as `cursor` to continue; `None` on the last page.
    pub fn next_cursor(&self) -> Option<&str> {
        self.pagination.next_cursor.as_deref()
    }
}
