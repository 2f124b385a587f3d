//! Lists, a page at a time.

/// Which page of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Items in the page at the most, 1 to 1000.
    pub limit: u32,
    /// The `next` of the page before.
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
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// What to pass as `cursor` to continue; `None` when there is nothing more.
    pub next: Option<String>,
}
