//! Rate limits, counted in the shared store.
//!
//! - A signed-in user is counted on every operation that is for signed-in users (`RATE_LIMIT_USER`).
//! - A client address is counted exactly on the operations marked with [`limited_by_address`], where a stranger could guess
//!   passwords and codes. Each of them is counted by itself, under the same limit (`RATE_LIMIT`).
//! - On the operations marked with [`limited_by_failures`] only requests that fail are counted in this way. A secret of 256
//!   bits is not guessed: a request that has one must not use up the guesses of everybody at that address.
//! - A client address is counted in portions on the operations marked with [`limited_by_address_in_portions`], which
//!   strangers may use often. Each such limit has a setting of its own.
//!
//! Other operations, such as health checks, are not counted.
//!
//! **If the store does not answer**, or not within [`ApiSettings::rate_limit_timeout`], each instance counts alone, under the
//! same limits, until the store answers again. So a slow store delays few requests and refuses none, and who guesses while
//! it is slow has the quota once on each instance.

mod counter;
mod limit;
mod limiter;
mod share;

use std::collections::HashMap;
use std::net::IpAddr;

use axum::http::HeaderMap;
use serde_json::json;
use switchyard_ambient::Timestamp;
use switchyard_database::Db;
use switchyard_kernel::{AddressLimit, network_of};
use utoipa::openapi::path::Operation;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::authentication::Authentication;
use crate::openapi::operations::{mark, marked};
use crate::{ApiResult, ApiSettings};

use counter::Counter;
pub use counter::RateWindow;
pub use limit::{ParseRateLimitError, Quota, RateLimit};
pub(crate) use limit::{RATELIMIT, RATELIMIT_POLICY, Verdict};
use limiter::Limiter;

/// The mark of operations that are counted by address: `address`, `failures_of_address`, or the declaration of a limit in
/// portions.
const MARK: &str = "rate_limited_by";
const ADDRESS: &str = "address";
const FAILURES_OF_ADDRESS: &str = "failures_of_address";

/// Counts requests to these routes by the client's address, each of them exactly (`RATE_LIMIT`). Each operation has windows
/// of its own.
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
    mark(routes, MARK, &json!(ADDRESS))
}

/// Like [`limited_by_address`], but counts only the requests that are answered with an error of the client (4xx). Those
/// beyond the limit are answered with 429 instead. All requests are handled, so that somebody who fails does not keep others
/// at the same address from succeeding: only for operations whose secret cannot be guessed and costs little to check.
///
/// ```
/// use switchyard_api::limited_by_failures;
/// use utoipa_axum::{router::OpenApiRouter, routes};
///
/// #[utoipa::path(post, path = "/refresh", responses((status = 204)))]
/// async fn refresh() {}
///
/// let router: OpenApiRouter = OpenApiRouter::new().routes(limited_by_failures(routes!(refresh)));
/// ```
pub fn limited_by_failures<S>(routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    mark(routes, MARK, &json!(FAILURES_OF_ADDRESS))
}

/// Counts requests to these routes by the client's address, under `limit`. An instance takes several requests out of the
/// store at once, so that most requests cost no write.
///
/// ```
/// use switchyard_api::limited_by_address_in_portions;
/// use switchyard_kernel::{AddressLimit, network_of};
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
    /// Exactly.
    Requests {
        /// The id of the operation, which is counted by itself.
        operation: String,
    },
    /// Exactly, and only if the request fails.
    Failures {
        /// The id of the operation.
        operation: String,
    },
    InPortions {
        /// The name of the limit.
        name: String,
        /// The limit unless its setting says otherwise.
        default: RateLimit,
    },
}

impl ByAddress {
    /// What distinguishes the limit from others, in the names of windows and for clients. Names of declared limits have no
    /// colon.
    fn policy(&self) -> String {
        match self {
            Self::Requests { operation } | Self::Failures { operation } => format!("address:{operation}"),
            Self::InPortions { name, .. } => name.clone(),
        }
    }

    fn limiter(&self, settings: &ApiSettings) -> Limiter {
        match self {
            Self::Requests { .. } | Self::Failures { .. } => {
                Limiter::exact(self.policy(), settings.rate_limit)
            }
            Self::InPortions { name, default } => {
                let limit = settings.address_limits.get(name).unwrap_or(default);
                Limiter::in_portions(self.policy(), *limit)
            }
        }
    }
}

/// How an operation counts client addresses.
pub(crate) fn by_address(operation: &Operation) -> Option<ByAddress> {
    let mark = marked(operation, MARK)?;
    let id = || operation.operation_id.clone().unwrap_or_default();
    let number = |field: &str| mark[field].as_u64().and_then(|number| u32::try_from(number).ok());
    Some(match (mark["name"].as_str(), number("requests"), number("minutes")) {
        (Some(name), Some(requests), Some(minutes)) => ByAddress::InPortions {
            name: name.to_owned(),
            default: RateLimit::per_minutes(requests, minutes),
        },
        _ if mark == FAILURES_OF_ADDRESS => ByAddress::Failures { operation: id() },
        _ => ByAddress::Requests { operation: id() },
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
    counter: Counter,
    user: Limiter,
    /// Those of addresses, by their policy.
    address: HashMap<String, Limiter>,
}

impl Limiters {
    /// The limiters for operations that are counted by `counted`.
    pub(crate) fn new<'a>(settings: &ApiSettings, counted: impl Iterator<Item = &'a CountedBy>) -> Self {
        let by_address = counted.filter_map(|by| by.address.as_ref());
        Self {
            counter: Counter::new(settings.rate_limit_timeout),
            user: Limiter::in_portions("user".to_owned(), settings.rate_limit_user),
            address: by_address.map(|by| (by.policy(), by.limiter(settings))).collect(),
        }
    }
}

/// What the limits say about a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdicts(Vec<Verdict>);

impl Verdicts {
    /// Fails with 429 if the request is beyond a limit.
    pub(crate) fn check(&self, now: Timestamp) -> ApiResult<()> {
        let refusal = self.0.iter().find(|verdict| !verdict.is_allowed()).map(|verdict| verdict.refusal(now));
        refusal.map_or(Ok(()), Err)
    }

    /// The name of the limit that the request is beyond.
    pub(crate) fn exceeded(&self) -> Option<&str> {
        self.0.iter().find(|verdict| !verdict.is_allowed()).map(Verdict::policy)
    }

    /// Adds the headers that report the limits of a request and what is left of them. `now` is the time of the answer.
    pub(crate) fn add_headers(&self, headers: &mut HeaderMap, now: Timestamp) {
        self.0.iter().for_each(|verdict| verdict.add_headers(headers, now));
    }
}

/// Counts a request under every limit that applies to it before it is handled.
pub(crate) async fn count(
    db: &Db,
    limiters: &Limiters,
    caller: &Authentication,
    address: Option<IpAddr>,
    by: &CountedBy,
) -> Verdicts {
    let mut verdicts = Vec::new();
    if let Some(by) = &by.address
        && let Some(limiter) = limiters.address.get(&by.policy())
    {
        let network = network_of(address);
        verdicts.extend(match by {
            ByAddress::Failures { .. } => limiter.known(&network, db.ambient().now()),
            _ => limiter.count(&limiters.counter, db, &network).await,
        });
    }
    if let Some(user) = caller.user().filter(|_| by.user) {
        verdicts.extend(limiters.user.count(&limiters.counter, db, user.user_id.as_str()).await);
    }
    Verdicts(verdicts)
}

/// Counts a request that has failed, if its failure counts.
pub(crate) async fn count_failure(
    db: &Db,
    limiters: &Limiters,
    address: Option<IpAddr>,
    by: &CountedBy,
    verdicts: &mut Verdicts,
) {
    let Some(by @ ByAddress::Failures { .. }) = &by.address else { return };
    let policy = by.policy();
    let Some(limiter) = limiters.address.get(&policy) else { return };
    if let Some(verdict) = limiter.count(&limiters.counter, db, &network_of(address)).await {
        verdicts.0.retain(|known| known.policy != policy);
        verdicts.0.push(verdict);
    }
}
