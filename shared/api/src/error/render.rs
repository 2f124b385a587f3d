use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use switchyard_kernel::ErrorCode;

use super::{ApiError, codes, status_of};

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
    let report = &error.0.report;
    let code = report.code.name();
    Envelope { error: Inner { code, message: &report.message, details: &report.details, request_id } }
}

/// Writes the body of an error answer and logs its cause. This is the only place where causes are logged.
///
/// An error that another layer answered in its own form, such as the router's 405, gets the envelope and keeps
/// its headers. Answers that are not errors, or that are already rendered, pass unchanged.
pub(crate) fn render(mut response: Response, request_id: &str) -> Response {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        log(&error);
        return write(response, &error, request_id);
    }
    match foreign_error(&response) {
        Some(error) => write(response, &error, request_id),
        None => response,
    }
}

/// The error for an answer that was not made from an [`ApiError`].
fn foreign_error(response: &Response) -> Option<ApiError> {
    let is_json =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json");
    let status = response.status();
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let code = match status {
        StatusCode::UNAUTHORIZED => codes::UNAUTHENTICATED,
        StatusCode::FORBIDDEN => codes::FORBIDDEN,
        StatusCode::NOT_FOUND => codes::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED => codes::METHOD_NOT_ALLOWED,
        StatusCode::PAYLOAD_TOO_LARGE => codes::PAYLOAD_TOO_LARGE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => codes::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::TOO_MANY_REQUESTS => codes::RATE_LIMITED,
        StatusCode::SERVICE_UNAVAILABLE => codes::UNAVAILABLE,
        status if status.is_client_error() => codes::VALIDATION_ERROR,
        _ => codes::INTERNAL_ERROR,
    };
    Some(ApiError::new(code))
}

fn write(response: Response, error: &ApiError, request_id: &str) -> Response {
    let (code, status) = (error.code(), status_of(error.code()));
    // Strings in a struct always serialise.
    let body = serde_json::to_vec(&envelope(error, request_id)).unwrap_or_default();
    let (parts, _body) = response.into_parts();
    let mut response = Response::from_parts(parts, Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().extend(error.0.headers.clone());
    if let Some(wait) = error.0.report.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge(code));
    }
    response
}

/// The `WWW-Authenticate` of a 401 (RFC 6750 §3): the scheme, and `invalid_token` if the request had a token. A client
/// renews its token then, and otherwise asks for credentials.
fn challenge(code: ErrorCode) -> HeaderValue {
    HeaderValue::from_static(match code {
        codes::ACCESS_TOKEN_EXPIRED => {
            r#"Bearer realm="switchyard", error="invalid_token", error_description="The access token expired""#
        }
        codes::ACCESS_TOKEN_INVALID => {
            r#"Bearer realm="switchyard", error="invalid_token", error_description="The access token is not valid""#
        }
        _ => r#"Bearer realm="switchyard""#,
    })
}

fn log(error: &ApiError) {
    let code = error.code().name();
    match error.cause() {
        Some(cause) if error.code().kind().is_server_error() => {
            tracing::error!(code, cause = %Chain(cause), "the request failed");
        }
        Some(cause) => tracing::info!(code, cause = %Chain(cause), "the request was refused"),
        None => {}
    }
}

/// An error and its causes, in one line.
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
