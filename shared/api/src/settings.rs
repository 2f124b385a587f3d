//! The settings of the conventions.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{CorsOrigins, HeaderNames, RateLimit, TrustedProxies};

/// The settings of the conventions. The defaults are those of the documented API.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The origins whose pages may call the API.
    pub cors_origins: CorsOrigins,
    /// The request headers that these pages may send, beside those of the conventions.
    pub cors_headers: HeaderNames,
    /// How many requests a client's address may send to each operation where something can be guessed.
    pub rate_limit: RateLimit,
    /// How many requests a signed-in user may send.
    pub rate_limit_user: RateLimit,
    /// How long a request waits until it is counted in the store. After that it is counted by its instance alone.
    pub rate_limit_timeout: Duration,
    /// Settings of the limits that operations declare for client addresses, by the name of the limit. A limit that is not
    /// listed has the value that is declared.
    pub address_limits: BTreeMap<String, RateLimit>,
    /// The proxies whose `X-Forwarded-For` names the client's address.
    pub trusted_proxies: TrustedProxies,
    /// The time after which a request is answered with 503.
    pub request_timeout: Duration,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            cors_origins: CorsOrigins::default(),
            cors_headers: HeaderNames::default(),
            rate_limit: RateLimit::per_minutes(100, 15),
            rate_limit_user: RateLimit::per_minutes(1000, 15),
            rate_limit_timeout: Duration::from_millis(150),
            address_limits: BTreeMap::new(),
            trusted_proxies: TrustedProxies::default(),
            request_timeout: Duration::from_secs(25),
        }
    }
}
