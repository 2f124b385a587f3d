//! Lists, page by page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use deserr::Deserr;
use serde::Serialize;
use serde_json::{Map, Value};
use switchyard_database::TypedPage;
use utoipa::{IntoParams, ToSchema};

use crate::input::{decode_text, read_query};
use crate::{ApiError, ApiResult, Faults, Json};

/// How many items a page has unless the request says so.
pub const DEFAULT_LIMIT: u32 = 20;
/// How many items a page can have.
pub const MAX_LIMIT: u32 = 100;

/// Which page of a list is asked for. Named in the `params(..)` of an operation that takes [`Paged`].
#[derive(Clone, Debug, PartialEq, Eq, Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// How many items the page has at the most.
    #[deserr(default = DEFAULT_LIMIT, try_from(i64) = check_limit -> &'static str)]
    #[param(minimum = 1, maximum = 100, default = 20, required = false)]
    pub limit: u32,
    /// Where the page begins: `next_cursor` of the page before. Left out for the first page.
    #[deserr(default)]
    pub cursor: Option<String>,
}

fn check_limit(number: i64) -> Result<u32, &'static str> {
    match u32::try_from(number) {
        Ok(limit @ 1..=MAX_LIMIT) => Ok(limit),
        _ => Err("must be from 1 to 100"),
    }
}

/// The query string of a list: `limit`, `cursor`, and the list's own filters `F`.
#[derive(Clone, Debug)]
pub struct Paged<F = NoFilter> {
    /// How many items the page has at the most.
    pub limit: u32,
    /// Where the page begins.
    pub cursor: Option<String>,
    /// The other parameters.
    pub filter: F,
}

/// The filters of a list that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserr)]
#[deserr(error = Faults, deny_unknown_fields)]
pub struct NoFilter {}

impl<F, S> FromRequestParts<S> for Paged<F>
where
    F: Deserr<Faults>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> ApiResult<Self> {
        let (page, filter): (Map<_, _>, Map<_, _>) = read_query(parts.uri.query().unwrap_or_default())?
            .into_iter()
            .partition(|(name, _)| matches!(name.as_str(), "limit" | "cursor"));
        match (decode_text::<PageParams>(Value::Object(page)), decode_text(Value::Object(filter))) {
            (Ok(PageParams { limit, cursor }), Ok(filter)) => Ok(Self { limit, cursor, filter }),
            (page, filter) => {
                let mut faults = page.err().unwrap_or_default();
                faults.extend(filter.err().unwrap_or_default());
                Err(faults.into())
            }
        }
    }
}

/// A page of a list, as it is answered.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub data: Vec<T>,
    /// Where the page ends.
    pub pagination: Pagination,
}

/// Where a page ends, and how to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pagination {
    /// How many items the page could have.
    #[schema(minimum = 1, maximum = 100, example = 20)]
    pub limit: u32,
    /// What to send as `cursor` to get the next page; `null` when this is the last one.
    #[schema(required, examples(json!(null)))]
    pub next_cursor: Option<String>,
    /// Whether there is a next page.
    #[schema(example = false)]
    pub has_more: bool,
}

impl<T> Page<T> {
    /// A page of these items, which ends where `next` says.
    pub fn new(data: Vec<T>, limit: u32, next: Option<String>) -> Self {
        Self { data, pagination: Pagination { limit, has_more: next.is_some(), next_cursor: next } }
    }

    /// A page of documents, each shown as `show` shows it.
    pub fn of<E>(page: TypedPage<E>, limit: u32, show: impl Fn(&E) -> T) -> Self {
        Self::new(page.items.iter().map(|item| show(item)).collect(), limit, page.next)
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}
