//! Rate limits, counted in the shared store.
//!
//! - A signed-in user is counted on every operation that is for signed-in users (`RATE_LIMIT_USER`).
//! - A client address is counted exactly on the operations marked with [`limited_by_address`] (`RATE_LIMIT`), where a
//!   stranger could guess passwords and codes.
//! - A client address is counted in portions on the operations marked with [`limited_by_address_in_portions`], which
//!   strangers may use often. Each such limit has a setting of its own.
//!
//! Other operations, such as health checks, are not counted.
//!
//! **If the store does not answer**, a user's request continues: what the limit protects needs the same store. A request
//! that is counted by address is refused with 503. Otherwise someone who slows the store down could guess without a limit.

mod counter;
mod limit;
mod limiter;

use std::collections::HashMap;
use std::net::IpAddr;

use axum::http::HeaderMap;
use serde_json::json;
use switchyard_database::Db;
use switchyard_kernel::AddressLimit;
use utoipa::openapi::path::Operation;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::authentication::Authentication;
use crate::openapi::operations::{mark, marked};
use crate::{ApiResult, ApiSettings};

pub use counter::RateWindow;
pub use limit::{ParseRateLimitError, Quota, RateLimit};
pub(crate) use limit::{RATELIMIT, RATELIMIT_POLICY, Verdict};
use limiter::Limiter;

/// The mark of operations that are counted by address: `address`, or the declaration of a limit in portions.
const MARK: &str = "rate_limited_by";

/// Counts requests to these routes by the client's address, each of them exactly (`RATE_LIMIT`).
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
pub fn limited_by_address<S>(routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    mark(routes, MARK, &json!("address"))
}

/// Counts requests to these routes by the client's address, under `limit`. An instance takes several requests out of the
/// store at once, so that most requests cost no write.
///
/// ```
/// use switchyard_api::limited_by_address_in_portions;
/// use switchyard_kernel::AddressLimit;
/// use utoipa_axum::{router::OpenApiRouter, routes};
///
/// const SHOP: AddressLimit = AddressLimit { name: "shop", requests: 600, minutes: 15 };
///
/// #[utoipa::path(post, path = "/carts", responses((status = 201)))]
/// async fn create_cart() {}
///
/// let router: OpenApiRouter =
///     OpenApiRouter::new().routes(limited_by_address_in_portions(SHOP, routes!(create_cart)));
/// ```
pub fn limited_by_address_in_portions<S>(
    limit: AddressLimit,
    routes: UtoipaMethodRouter<S>,
) -> UtoipaMethodRouter<S> {
    let AddressLimit { name, requests, minutes } = limit;
    mark(routes, MARK, &json!({ "name": name, "requests": requests, "minutes": minutes }))
}

/// What the callers of an operation are counted by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CountedBy {
    /// The client's address.
    pub(crate) address: Option<ByAddress>,
    /// The user, if one is signed in.
    pub(crate) user: bool,
}

/// How a client address is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ByAddress {
    Exactly,
    InPortions {
        /// The name of the limit.
        name: String,
        /// The limit unless its setting says otherwise.
        default: RateLimit,
    },
}

/// How an operation counts client addresses.
pub(crate) fn by_address(operation: &Operation) -> Option<ByAddress> {
    let mark = marked(operation, MARK)?;
    let number = |field: &str| mark[field].as_u64().and_then(|number| u32::try_from(number).ok());
    Some(match (mark["name"].as_str(), number("requests"), number("minutes")) {
        (Some(name), Some(requests), Some(minutes)) => ByAddress::InPortions {
            name: name.to_owned(),
            default: RateLimit::per_minutes(requests, minutes),
        },
        _ => ByAddress::Exactly,
    })
}

impl CountedBy {
    pub(crate) fn is_limited(&self) -> bool {
        self.address.is_some() || self.user
    }
}

/// The limiters of a program.
#[derive(Debug)]
pub(crate) struct Limiters {
    user: Limiter,
    address: Limiter,
    /// Those of limits in portions, by the name of the limit.
    in_portions: HashMap<String, Limiter>,
}

impl Limiters {
    /// The limiters for operations that are counted by `counted`.
    pub(crate) fn new<'a>(settings: &ApiSettings, counted: impl Iterator<Item = &'a CountedBy>) -> Self {
        let declared = counted.filter_map(|by| match &by.address {
            Some(ByAddress::InPortions { name, default }) => Some((name, default)),
            _ => None,
        });
        let limiter = |(name, default): (&String, &RateLimit)| {
            let limit = settings.address_limits.get(name).unwrap_or(default);
            (name.clone(), Limiter::in_portions(name, *limit))
        };
        Self {
            user: Limiter::in_portions("user", settings.rate_limit_user),
            address: Limiter::exact("address", settings.rate_limit),
            in_portions: declared.map(limiter).collect(),
        }
    }

    fn of_address(&self, by: &ByAddress) -> Option<&Limiter> {
        match by {
            ByAddress::Exactly => Some(&self.address),
            ByAddress::InPortions { name, .. } => self.in_portions.get(name),
        }
    }
}

/// Counts a request under every limit that applies to it.
///
/// # Errors
///
/// 429 if the request exceeds a limit; 503 if it is limited by address and the store does not answer.
pub(crate) async fn count(
    db: &Db,
    limiters: &Limiters,
    caller: &Authentication,
    address: Option<IpAddr>,
    by: &CountedBy,
) -> (Vec<Verdict>, ApiResult<()>) {
    let mut verdicts = Vec::new();
    if let Some(limiter) = by.address.as_ref().and_then(|by| limiters.of_address(by)) {
        match limiter.count(db, &network_of(address)).await {
            Ok(verdict) => verdicts.extend(verdict),
            Err(fault) => return (verdicts, Err(fault.into())),
        }
    }
    if let Some(user) = caller.user().filter(|_| by.user) {
        match limiters.user.count(db, user.user_id.as_str()).await {
            Ok(verdict) => verdicts.extend(verdict),
            Err(fault) => tracing::warn!(cause = %fault, "the request was not counted under the rate limit"),
        }
    }
    let refusal = verdicts.iter().find(|verdict| !verdict.is_allowed()).map(Verdict::refusal);
    (verdicts, refusal.map_or(Ok(()), Err))
}

/// Adds the headers that report the limits of a request and what is left of them.
pub(crate) fn add_headers(verdicts: &[Verdict], headers: &mut HeaderMap) {
    verdicts.iter().for_each(|verdict| verdict.add_headers(headers));
}

/// An IPv6 client usually has a whole /64 and can use a new address for each request, so its network is
/// counted.
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
    fn ipv6_addresses_are_counted_by_their_network() {
        assert_eq!(network_of("203.0.113.9".parse().ok()), "203.0.113.9");
        assert_eq!(network_of("2001:db8:1:2:3:4:5:6".parse().ok()), "2001:db8:1:2::/64");
        assert_eq!(network_of(None), "unknown");
    }
}
