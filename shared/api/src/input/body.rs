use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use utoipa::openapi::path::Operation;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::openapi::operations::{mark, marked};
use crate::{ApiError, codes};

/// The number of bytes that a request's body may have, unless its operation is marked with [`limited_body`]: 1 MiB.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The mark of operations whose bodies have a limit of their own, in bytes.
const MARK: &str = "x-max-body-bytes";

/// Limits the bodies of requests to these routes to `bytes` instead of [`MAX_BODY_BYTES`].
///
/// ```
/// use switchyard_api::limited_body;
/// use utoipa_axum::{router::OpenApiRouter, routes};
///
/// #[utoipa::path(post, path = "/webhook", request_body = Vec<u8>, responses((status = 204)))]
/// async fn receive() {}
///
/// let router: OpenApiRouter = OpenApiRouter::new().routes(limited_body(256 * 1024, routes!(receive)));
/// ```
pub fn limited_body<S>(bytes: usize, routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    mark(routes, MARK, &json!(bytes))
}

/// The number of bytes that a request's body may have. The layers put it into the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyLimit(usize);

impl Default for BodyLimit {
    fn default() -> Self {
        Self(MAX_BODY_BYTES)
    }
}

impl BodyLimit {
    /// The limit that an operation declares.
    pub(crate) fn of(operation: &Operation) -> Self {
        let bytes = marked(operation, MARK).and_then(|bytes| usize::try_from(bytes.as_u64()?).ok());
        bytes.map_or_else(Self::default, Self)
    }

    /// The message of an answer to a larger body.
    pub(crate) fn message(self) -> Cow<'static, str> {
        match self.0 {
            MAX_BODY_BYTES => codes::PAYLOAD_TOO_LARGE.message().into(),
            bytes if bytes % 1024 == 0 => format!("The body is larger than {} KiB.", bytes / 1024).into(),
            bytes => format!("The body is larger than {bytes} bytes.").into(),
        }
    }

    fn exceeded(self) -> ApiError {
        ApiError::new(codes::PAYLOAD_TOO_LARGE).message(self.message())
    }
}

/// Reads a whole body, if it is within the limit of its operation.
pub(crate) async fn read_body(parts: &Parts, body: Body) -> Result<Bytes, ApiError> {
    let limit = parts.extensions.get::<BodyLimit>().copied().unwrap_or_default();
    let declared = parts.headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit.0 as u64) {
        return Err(limit.exceeded()); // before any of it is read
    }
    match Limited::new(body, limit.0).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(limit.exceeded()),
        Err(error) => Err(ApiError::invalid("body", "broke off before its end").caused_by(error)),
    }
}

/// The body of a request as it was sent, for a signature over its bytes.
///
/// It takes a body of any type, within the limit of its operation ([`limited_body`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBody(
    /// The bytes.
    pub Bytes,
);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        Ok(Self(read_body(&parts, body).await?))
    }
}

/// Whether the `Content-Type` is `application/json` or one of `also`, in UTF-8.
pub(crate) fn is_json(headers: &HeaderMap, also: &[&str]) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let known =
        std::iter::once(&"application/json").chain(also).any(|known| essence.eq_ignore_ascii_case(known));
    known
        && parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
            !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says_json(content_type: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        is_json(&headers, &["application/merge-patch+json"])
    }

    #[test]
    fn json_in_utf_8_is_accepted_in_every_spelling() {
        assert!(says_json("application/json"));
        assert!(says_json("Application/JSON; charset=\"UTF-8\""));
        assert!(says_json("application/merge-patch+json"));
    }

    #[test]
    fn other_types_and_other_encodings_are_not() {
        assert!(!says_json("text/plain"));
        assert!(!says_json("application/jsonp"));
        assert!(!says_json("application/json; charset=latin-1"));
        assert!(!is_json(&HeaderMap::new(), &[]));
    }
}
