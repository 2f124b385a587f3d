//! Rate limits, counted in the shared store.
//!
//! A signed-in user is counted on every operation that is for signed-in users (`RATE_LIMIT_USER`), a client's address on
//! the routes that are marked with [`limited_by_address`] (`RATE_LIMIT`): those where a stranger could guess passwords and
//! codes. What has neither, such as a health check or an unknown address, is counted nowhere: the function that answers it
//! may know no users.
//!
//! **When the store does not answer**, a user's request goes on: whatever the limit protects needs the same store. A
//! request that is counted by address is refused with 503, since otherwise whoever slows the store down could guess
//! without a limit; the handler behind it could not have answered either.

mod counter;
mod limit;
mod limiter;

use std::net::IpAddr;

use axum::http::HeaderMap;
use utoipa::openapi::path::Operation;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::authentication::Authentication;
use crate::openapi::operations::operations_mut;
use crate::{Api, ApiResult};

pub use counter::RateWindow;
pub use limit::{ParseRateLimitError, Quota, RateLimit};
pub(crate) use limit::{RATELIMIT, RATELIMIT_POLICY, Verdict};
pub(crate) use limiter::Limiter;

/// Marks an operation as counted by address. It stands in the OpenAPI document, and is read back from there.
const MARK: &str = "x-rate-limited-by";

/// Counts requests to these routes by the client's address. The document says so too.
///
/// ```
/// use switchyard_api::limited_by_address;
/// use utoipa_axum::{router::OpenApiRouter, routes};
///
/// #[utoipa::path(post, path = "/login", responses((status = 204)))]
/// async fn login() {}
///
/// let router: OpenApiRouter = OpenApiRouter::new().routes(limited_by_address(routes!(login)));
/// ```
pub fn limited_by_address<S>((schemas, mut paths, router): UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    for item in paths.paths.values_mut() {
        for (_method, operation) in operations_mut(item) {
            let extensions = operation.extensions.get_or_insert_default();
            extensions.insert(MARK.to_owned(), "address".into());
        }
    }
    (schemas, paths, router)
}

/// Whether an operation is marked with [`limited_by_address`].
pub(crate) fn is_limited_by_address(operation: &Operation) -> bool {
    operation.extensions.as_ref().is_some_and(|extensions| extensions.contains_key(MARK))
}

/// By what the callers of an operation are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CountedBy {
    /// By the client's address.
    pub(crate) address: bool,
    /// By the user, if one is signed in.
    pub(crate) user: bool,
}

/// Counts a request under every limit that it falls under.
///
/// # Errors
///
/// 429 when it is one too many; 503 when it cannot be counted and must be.
pub(crate) async fn count(
    api: &Api,
    caller: &Authentication,
    address: Option<IpAddr>,
    by: CountedBy,
) -> (Vec<Verdict>, ApiResult<()>) {
    let mut verdicts = Vec::new();
    if by.address {
        match api.address_limiter.count(api.db(), &network_of(address)).await {
            Ok(verdict) => verdicts.extend(verdict),
            Err(fault) => return (verdicts, Err(fault.into())),
        }
    }
    if let Some(user) = caller.user().filter(|_| by.user) {
        match api.user_limiter.count(api.db(), user.user_id.as_str()).await {
            Ok(verdict) => verdicts.extend(verdict),
            Err(fault) => tracing::warn!(cause = %fault, "a request could not be counted"),
        }
    }
    let refusal = verdicts.iter().find(|verdict| !verdict.is_allowed()).map(Verdict::refusal);
    (verdicts, refusal.map_or(Ok(()), Err))
}

/// Tells the client where it stands.
pub(crate) fn tell(verdicts: &[Verdict], headers: &mut HeaderMap) {
    verdicts.iter().for_each(|verdict| verdict.tell(headers));
}

/// An IPv6 client holds at least a /64 and can take a new address for every request, so the network is counted.
fn network_of(address: Option<IpAddr>) -> String {
    match address {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_version_6_are_counted_by_their_network() {
        assert_eq!(network_of("203.0.113.9".parse().ok()), "203.0.113.9");
        assert_eq!(network_of("2001:db8:1:2:3:4:5:6".parse().ok()), "2001:db8:1:2::/64");
        assert_eq!(network_of(None), "unknown");
    }
}
