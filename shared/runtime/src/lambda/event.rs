//! Converts events of an API Gateway HTTP API (payload format 2.0) into requests, and answers into the form
//! that the gateway expects.
//!
//! The conversion of `lambda_http` is not used for two reasons. It assumes that the path is encoded, but this
//! gateway decodes it, so a client's `%3F` would start a query and its `%23` would truncate the request. And it
//! panics on a host or query string that `http::Uri` refuses, and on a body with invalid base64.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use lambda_http::aws_lambda_events::encodings;
use percent_encoding::utf8_percent_encode;
use switchyard_api::PeerAddress;

use crate::path::{self, IN_QUERY};

/// Converts an event into a request.
///
/// # Errors
///
/// Fails if the target is too long, or if the body is marked as base64 and is not.
pub(super) fn to_request(
    event: ApiGatewayV2httpRequest,
) -> Result<Request<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let domain = event.request_context.domain_name.unwrap_or_default();
    let http = event.request_context.http;
    let mut target = path_of(&event.raw_path.or(http.path).unwrap_or_default(), &domain);
    if let Some(query) = event.raw_query_string.filter(|query| !query.is_empty()) {
        target.push('?');
        // The gateway passes a query as the client wrote it, so this changes only invalid ones.
        target.extend(utf8_percent_encode(&query, IN_QUERY));
    }
    let body = match event.body {
        None => Vec::new(),
        Some(text) if event.is_base64_encoded => STANDARD.decode(text)?,
        Some(text) => text.into_bytes(),
    };
    let mut request = Request::builder().method(http.method).uri(target).body(Body::from(body))?;
    *request.headers_mut() = event.headers;
    if let Some(cookies) = event.cookies.filter(|cookies| !cookies.is_empty())
        && let Ok(cookies) = HeaderValue::try_from(cookies.join("; "))
    {
        request.headers_mut().insert(header::COOKIE, cookies);
    }
    if let Some(address) = http.source_ip.and_then(|address| address.parse::<IpAddr>().ok()) {
        request.extensions_mut().insert(PeerAddress(address));
    }
    Ok(request)
}

/// The normal form of an event's path. A gateway has decoded it. A function URL has not.
fn path_of(path: &str, domain: &str) -> String {
    if domain.contains(".lambda-url.") { path::normalize(path) } else { path::encode(path.as_bytes()) }
}

pub(super) async fn from_response(response: Response) -> ApiGatewayV2httpResponse {
    let (parts, body) = response.into_parts();
    let bytes = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(fault) => {
            tracing::error!(cause = %fault, "the body of the answer failed");
            return refusal();
        }
    };
    let mut headers = parts.headers;
    let cookies = take_cookies(&mut headers);
    let is_encoded = headers.contains_key(header::CONTENT_ENCODING);
    let text = if is_encoded { None } else { String::from_utf8(bytes.to_vec()).ok() };
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = parts.status.as_u16().into();
    answer.headers = joined(headers);
    answer.cookies = cookies;
    answer.is_base64_encoded = text.is_none();
    answer.body = Some(text.map_or_else(|| encodings::Body::Binary(bytes.to_vec()), encodings::Body::Text));
    answer
}

/// Removes the cookies from the headers. The gateway sets them itself, since an answer can contain each header
/// only once.
fn take_cookies(headers: &mut HeaderMap) -> Vec<String> {
    let cookies = headers.get_all(header::SET_COOKIE).iter();
    let cookies = cookies.filter_map(|cookie| cookie.to_str().ok()).map(ToOwned::to_owned).collect();
    headers.remove(header::SET_COOKIE);
    cookies
}

/// Joins the lines of each header into one (RFC 9110 §5.3), for the same reason.
fn joined(headers: HeaderMap) -> HeaderMap {
    let mut single = HeaderMap::with_capacity(headers.len());
    for name in headers.keys() {
        let lines: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(value) = HeaderValue::from_bytes(&lines.join(&b", "[..])) {
            single.insert(name.clone(), value);
        }
    }
    single
}

/// The answer to an event that is not a request.
pub(super) fn refusal() -> ApiGatewayV2httpResponse {
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = StatusCode::BAD_REQUEST.as_u16().into();
    answer
}
