use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::CorsOrigins;
use crate::idempotency::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED};
use crate::precondition::KnownTags;
use crate::rate_limit::{RATELIMIT, RATELIMIT_POLICY};
use crate::request::{X_REQUEST_ID, header_of};

/// Compressing smaller answers makes them larger, or saves less than it costs.
const WORTH_COMPRESSING: u64 = 1024;

/// Adds the headers that every answer has. A header that the handler has set stays.
pub(super) fn add_standing_headers(response: &mut Response, request_id: &str) {
    let standing = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let headers = response.headers_mut();
    for (name, value) in standing {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.insert(X_REQUEST_ID, header_of(request_id));
}

/// Answers a read with 304 if the client already has the version. This happens outside of the compression, because a 304
/// repeats the `Vary` of the 200 that it stands for (RFC 9110 §15.4.5).
pub(super) async fn revalidate(request: Request, next: Next) -> Response {
    let known = KnownTags::of(request.method(), request.headers());
    known.shorten(next.run(request).await)
}

pub(super) fn compression() -> CompressionLayer<impl Predicate> {
    // Images are already compressed, and event streams must not be buffered.
    let predicate =
        SizeAbove::new(WORTH_COMPRESSING).and(NotForContentType::IMAGES).and(NotForContentType::SSE);
    CompressionLayer::new().gzip(true).compress_when(predicate)
}

/// Removes an `Accept-Encoding` that accepts neither the plain answer nor the compressed one. RFC 9110 §12.5.3
/// allows a server to ignore it. Otherwise the compression layer would run the handler and then replace its
/// answer by a 406.
pub(super) async fn disregard_unfit_encodings(mut request: Request) -> Request {
    let headers = request.headers_mut();
    if !accepts(headers, &["identity"], true) && !accepts(headers, &["gzip", "x-gzip"], false) {
        headers.remove(header::ACCEPT_ENCODING);
    }
    request
}

/// Whether an encoding with these names is acceptable, according to its own entries, else to those of `*`, else
/// to `by_default`. A malformed entry accepts nothing.
fn accepts(headers: &HeaderMap, names: &[&str], by_default: bool) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let entries: Vec<(&str, &str)> = lines
        .flat_map(|line| line.split(','))
        .map(|entry| entry.split_once(';').unwrap_or((entry, "q=1")))
        .map(|(name, weight)| (name.trim(), weight.trim()))
        .collect();
    let by_entries = |names: &[&str]| {
        let named = |entry: &&(&str, &str)| names.iter().any(|name| entry.0.eq_ignore_ascii_case(name));
        let mut weights = entries.iter().filter(named).map(|entry| entry.1).peekable();
        weights.peek().is_some().then(|| weights.all(is_above_zero))
    };
    by_entries(names).or_else(|| by_entries(&["*"])).unwrap_or(by_default)
}

/// Whether this is a weight, as in `q=0.5`, above zero (RFC 9110 §12.4.2).
fn is_above_zero(weight: &str) -> bool {
    let Some(value) = weight.strip_prefix(['q', 'Q']).and_then(|weight| weight.strip_prefix('=')) else {
        return false;
    };
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let is_zero = decimals.bytes().all(|digit| digit == b'0');
    let are_digits = decimals.len() <= 3 && decimals.bytes().all(|digit| digit.is_ascii_digit());
    are_digits && matches!((whole, is_zero), ("1", true) | ("0", false))
}

/// `None` where no other origin may call: then nothing needs to be said about it.
pub(super) fn cors(
    origins: &CorsOrigins,
    own_headers: impl IntoIterator<Item = HeaderName>,
) -> Option<CorsLayer> {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let accepted = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        IDEMPOTENCY_KEY,
        X_REQUEST_ID,
    ];
    let exposed = [
        header::ETAG,
        header::LOCATION,
        header::RETRY_AFTER,
        header::WWW_AUTHENTICATE,
        RATELIMIT,
        RATELIMIT_POLICY,
        IDEMPOTENCY_REPLAYED,
        X_REQUEST_ID,
    ];
    let layer = CorsLayer::new()
        .allow_methods(methods)
        .allow_headers(accepted.into_iter().chain(own_headers).collect::<Vec<_>>())
        .expose_headers(exposed)
        .max_age(Duration::from_secs(60 * 60));
    match origins {
        CorsOrigins::Any => Some(layer.allow_origin(AllowOrigin::any())),
        CorsOrigins::Listed(origins) if origins.is_empty() => None,
        // The refresh token may be a cookie, so listed origins may send credentials.
        CorsOrigins::Listed(origins) => {
            Some(layer.allow_origin(AllowOrigin::list(origins.iter().cloned())).allow_credentials(true))
        }
    }
}
