use std::time::Duration;

use axum::http::{HeaderValue, Method, header};
use axum::response::Response;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::context::{RequestId, X_REQUEST_ID};
use crate::idempotency::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED};
use crate::rate_limit::{RATELIMIT, RATELIMIT_POLICY};
use crate::settings::CorsOrigins;

/// Smaller answers grow when they are compressed, or shrink by less than it costs.
const WORTH_COMPRESSING: u64 = 1024;

/// What every answer says, unless the handler said it otherwise.
pub(super) fn add_standing_headers(response: &mut Response, id: &RequestId) {
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
    headers.insert(X_REQUEST_ID, id.header_value());
}

pub(super) fn compression() -> CompressionLayer<impl Predicate> {
    // What is compressed already, or streams, is left alone.
    let predicate =
        SizeAbove::new(WORTH_COMPRESSING).and(NotForContentType::IMAGES).and(NotForContentType::SSE);
    CompressionLayer::new().gzip(true).compress_when(predicate)
}

/// `None` where no other origin may call: then nothing needs to be said about it.
pub(super) fn cors(origins: &CorsOrigins) -> Option<CorsLayer> {
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
        .allow_headers(accepted)
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
