//! Lists, page by page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use deserr::Deserr;
use serde_json::{Map, Value};
use switchyard_kernel::{Faults, PageRequest};
use utoipa::IntoParams;

use crate::input::{decode_text, read_query};
use crate::{ApiError, ApiResult};

/// The number of items on a page if the request has no `limit`.
pub const DEFAULT_LIMIT: u32 = 20;
/// The largest number of items on a page.
pub const MAX_LIMIT: u32 = 100;

/// Which page of a list to return. Named in the `params(..)` of an operation that takes [`Paged`].
#[derive(Clone, Debug, PartialEq, Eq, Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// The maximum number of items on the page.
    #[deserr(default = DEFAULT_LIMIT, try_from(i64) = check_limit -> &'static str)]
    #[param(minimum = 1, maximum = 100, default = 20, required = false)]
    pub limit: u32,
    /// The start of the page: the `next_cursor` of the previous page. Leave it out for the first page.
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
    /// Which page to return.
    pub page: PageRequest,
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
            (Ok(PageParams { limit, cursor }), Ok(filter)) => {
                Ok(Self { page: PageRequest { limit, cursor }, filter })
            }
            (page, filter) => {
                let mut faults = page.err().unwrap_or_default();
                faults.extend(filter.err().unwrap_or_default());
                Err(faults.into())
            }
        }
    }
}
