use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use super::{ApiError, ErrorCode};

/// The shape of every error answer.
#[derive(Serialize)]
pub(crate) struct Envelope<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    code: &'a str,
    message: &'a str,
    details: &'a BTreeMap<String, String>,
    request_id: &'a str,
}

/// The body of an error answer.
pub(crate) fn envelope<'a>(error: &'a ApiError, request_id: &'a str) -> Envelope<'a> {
    let parts = &error.0;
    Envelope {
        error: Inner {
            code: parts.code.as_str(),
            message: &parts.message,
            details: &parts.details,
            request_id,
        },
    }
}

/// Writes the body of an error answer, and logs its cause: here, once, and nowhere else.
///
/// An error that another layer answered in its own words, such as the router's 405, gets ours, and keeps its headers.
/// Answers that are no errors, or that already are rendered, pass unchanged.
pub(crate) fn render(mut response: Response, request_id: &str) -> Response {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        log(&error);
        return write(response.headers(), &error, request_id);
    }
    match foreign_error(&response) {
        Some(error) => write(response.headers(), &error, request_id),
        None => response,
    }
}

/// The error that an answer not made by [`ApiError`] means.
fn foreign_error(response: &Response) -> Option<ApiError> {
    let is_json =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json");
    let status = response.status();
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let code = match status {
        StatusCode::UNAUTHORIZED => ErrorCode::Unauthenticated,
        StatusCode::FORBIDDEN => ErrorCode::Forbidden,
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::PayloadTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
        StatusCode::TOO_MANY_REQUESTS => ErrorCode::RateLimited,
        StatusCode::SERVICE_UNAVAILABLE => ErrorCode::Unavailable,
        status if status.is_client_error() => ErrorCode::ValidationError,
        _ => ErrorCode::InternalError,
    };
    Some(ApiError::new(code))
}

fn write(headers: &HeaderMap, error: &ApiError, request_id: &str) -> Response {
    let parts = &error.0;
    // Strings in a struct always serialise.
    let body = serde_json::to_vec(&envelope(error, request_id)).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = parts.code.status();
    *response.headers_mut() = headers.clone();
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().extend(parts.headers.clone());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if parts.code.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge(parts.code));
    }
    response
}

/// RFC 6750 §3: a 401 says which scheme to use, and `invalid_token` when a token was sent that is not good any more.
fn challenge(code: ErrorCode) -> HeaderValue {
    HeaderValue::from_static(match code {
        ErrorCode::AccessTokenExpired => {
            r#"Bearer realm="switchyard", error="invalid_token", error_description="The access token expired""#
        }
        _ => r#"Bearer realm="switchyard""#,
    })
}

fn log(error: &ApiError) {
    let code = error.code().as_str();
    match error.cause() {
        Some(cause) if error.code().status().is_server_error() => {
            tracing::error!(code, cause = %Chain(cause), "the request failed");
        }
        Some(cause) => tracing::info!(code, cause = %Chain(cause), "the request was refused"),
        None => {}
    }
}

/// An error with all that caused it, in one line.
struct Chain<'a>(&'a (dyn std::error::Error + Send + Sync));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
