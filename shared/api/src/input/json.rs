use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use deserr::Deserr;
use serde::Serialize;
use serde_json::Value;

use super::body::{read_body, require_json, require_plain};
use super::json_text;
use super::json_value::JsonValue;
use crate::{ApiError, ApiResult, Faults};

/// A JSON body: of a request if `T` derives `Deserr`, of an answer if it derives `Serialize`.
///
/// The extractor refuses a body of another type or with a `Content-Encoding` (415), a body over the operation's limit
/// (413), and a body that is not JSON or not a `T` (400). The 400 reports all faults at once, each under its field's path. Derive with
/// `#[deserr(error = Faults, deny_unknown_fields)]`. A field that may be left out has `#[deserr(default)]` and,
/// unless it is an `Option`, also `#[schema(required = false)]` for the OpenAPI document.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json<T>(
    /// The value.
    pub T,
);

impl<T, S> FromRequest<S> for Json<T>
where
    T: Deserr<Faults>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> ApiResult<Self> {
        let (headers, bytes) = read(request).await?;
        parse(&headers, &bytes, &[]).and_then(decode).map(Self)
    }
}

/// `Option<Json<T>>` is a body that may be left out.
impl<T, S> OptionalFromRequest<S> for Json<T>
where
    T: Deserr<Faults>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> ApiResult<Option<Self>> {
        let (headers, bytes) = read(request).await?;
        if bytes.trim_ascii().is_empty() {
            return Ok(None);
        }
        parse(&headers, &bytes, &[]).and_then(decode).map(Self).map(Some)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
            }
            Err(fault) => ApiError::internal(fault).into_response(),
        }
    }
}

/// Reads a request's body as JSON of any form.
pub(crate) async fn read_tree(request: Request, also: &[&str]) -> ApiResult<Value> {
    let (headers, bytes) = read(request).await?;
    Ok(parse(&headers, &bytes, also)?.into_tree())
}

/// Reads a `T` from JSON, or returns all its faults.
fn decode<T: Deserr<Faults>>(value: JsonValue<'_>) -> ApiResult<T> {
    Ok(deserr::deserialize::<T, _, Faults>(value)?)
}

/// Requires that a request has no body, or an empty object, for an operation that takes none. Returns the request without
/// its body.
pub(crate) async fn require_nothing(request: Request) -> ApiResult<Request> {
    /// The fields of an operation that has none.
    #[derive(Deserr)]
    #[deserr(error = Faults, deny_unknown_fields)]
    struct NoFields {}

    let (parts, body) = request.into_parts();
    require_plain(&parts.headers)?;
    let bytes = read_body(&parts, body).await?;
    if !bytes.trim_ascii().is_empty() {
        let NoFields {} = parse(&parts.headers, &bytes, &[]).and_then(decode)?;
    }
    Ok(Request::from_parts(parts, Body::empty()))
}

async fn read(request: Request) -> ApiResult<(HeaderMap, Bytes)> {
    let (parts, body) = request.into_parts();
    require_plain(&parts.headers)?;
    let bytes = read_body(&parts, body).await?;
    Ok((parts.headers, bytes))
}

fn parse<'a>(headers: &HeaderMap, bytes: &'a [u8], also: &[&str]) -> ApiResult<JsonValue<'a>> {
    if !headers.contains_key(header::CONTENT_TYPE) && bytes.is_empty() {
        return Err(ApiError::invalid("body", "is required"));
    }
    require_json(headers, also)?;
    Ok(json_text::read(bytes)?)
}
