use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use utoipa::openapi::path::Operation;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::openapi::operations::{mark, marked};
use crate::{ApiError, ApiResult, codes};

/// The number of bytes that a request's body may have, unless its operation is marked with [`limited_body`]: 64 KiB.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// The mark of operations whose bodies have a limit of their own, in bytes.
const MARK: &str = "max_body_bytes";

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
    pub(crate) fn message(self) -> String {
        match self.0 {
            bytes if bytes % 1024 == 0 => format!("The body is larger than {} KiB.", bytes / 1024),
            bytes => format!("The body is larger than {bytes} bytes."),
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

/// Requires that the `Content-Type` is `application/json` or one of `also`, in UTF-8.
///
/// # Errors
///
/// 415 if it is not.
pub(crate) fn require_json(headers: &HeaderMap, also: &[&str]) -> ApiResult<()> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let mut known = std::iter::once(&"application/json").chain(also);
    if !known.any(|known| essence.eq_ignore_ascii_case(known)) {
        return Err(codes::UNSUPPORTED_MEDIA_TYPE.into());
    }
    let parameters = parts.filter_map(|parameter| parameter.split_once('='));
    let mut charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    if charsets.all(|(_, charset)| is_utf_8(charset.trim().trim_matches('"'))) {
        Ok(())
    } else {
        let message = "Send the body in UTF-8, and leave the `charset` of its `Content-Type` out.";
        Err(ApiError::new(codes::UNSUPPORTED_MEDIA_TYPE).message(message))
    }
}

/// Whether a charset is UTF-8 under one of its usual names, or ASCII, which is a part of it. JSON has no such parameter
/// (RFC 8259 §11), but clients send it.
fn is_utf_8(charset: &str) -> bool {
    ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|name| charset.eq_ignore_ascii_case(name))
}

/// Requires that a body is not compressed.
///
/// # Errors
///
/// 415 if it is, or if its `Content-Encoding` says so.
pub(crate) fn require_plain(headers: &HeaderMap) -> ApiResult<()> {
    let is_identity = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().all(is_identity) {
        return Ok(());
    }
    // RFC 9110 §15.5.16: `Accept-Encoding` tells this 415 from one about the type.
    Err(ApiError::new(codes::UNSUPPORTED_MEDIA_TYPE)
        .message("Send the body as it is, without a `Content-Encoding`.")
        .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says_json(content_type: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        require_json(&headers, &["application/merge-patch+json"]).is_ok()
    }

    #[test]
    fn json_in_utf_8_is_accepted_in_every_spelling() {
        assert!(says_json("application/json"));
        assert!(says_json("Application/JSON; charset=\"UTF-8\""));
        assert!(says_json("application/json ; charset=utf8"));
        assert!(says_json("application/json;Charset=US-ASCII"));
        assert!(says_json("application/merge-patch+json"));
    }

    #[test]
    fn other_types_and_other_encodings_are_not() {
        assert!(!says_json("text/plain"));
        assert!(!says_json("application/jsonp"));
        assert!(!says_json("application/json; charset=latin-1"));
        assert!(!says_json("application/json; charset=utf-8; charset=utf-16"));
        assert!(require_json(&HeaderMap::new(), &[]).is_err());
    }
}
