//! The settings of the conventions.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use axum::http::HeaderValue;

use crate::{RateLimit, TrustedProxies};

/// The settings of the conventions. The defaults are those of the documented API.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The origins whose pages may call the API.
    pub cors_origins: CorsOrigins,
    /// How many requests a client's address may send to the anonymous auth routes.
    pub rate_limit: RateLimit,
    /// How many requests a signed-in user may send.
    pub rate_limit_user: RateLimit,
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
            rate_limit: RateLimit::per_minutes(100, 15),
            rate_limit_user: RateLimit::per_minutes(1000, 15),
            address_limits: BTreeMap::new(),
            trusted_proxies: TrustedProxies::default(),
            request_timeout: Duration::from_secs(25),
        }
    }
}

/// The origins that may call the API, as in `https://app.example.com,http://localhost:5173`. `*` allows all,
/// without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Every origin.
    Any,
    /// Only these. The default is none.
    Listed(Vec<HeaderValue>),
}

impl Default for CorsOrigins {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

/// The text is not a list of origins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin as in https://app.example.com")]
pub struct ParseOriginsError(String);

impl FromStr for CorsOrigins {
    type Err = ParseOriginsError;

    fn from_str(text: &str) -> Result<Self, ParseOriginsError> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| origin(entry).ok_or_else(|| ParseOriginsError(entry.to_owned())))
            .collect::<Result<_, _>>()
            .map(Self::Listed)
    }
}

/// An origin is compared as browsers send it: a scheme and an authority, without a path.
fn origin(text: &str) -> Option<HeaderValue> {
    let (scheme, host) = text.split_once("://")?;
    let plain = host.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'?' | b'#' | b'@' | b'*'));
    let fits = matches!(scheme, "http" | "https") && !host.is_empty() && plain;
    if fits { HeaderValue::try_from(text.to_ascii_lowercase()).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_listed_with_commas() {
        let listed = "https://a.example, http://localhost:5173".parse();
        let expected = ["https://a.example", "http://localhost:5173"].map(HeaderValue::from_static);
        assert_eq!(listed, Ok(CorsOrigins::Listed(expected.to_vec())));
        assert_eq!("".parse(), Ok(CorsOrigins::default()));
        assert_eq!("*".parse(), Ok(CorsOrigins::Any));
    }

    #[test]
    fn text_that_no_browser_sends_as_an_origin_is_refused() {
        for text in ["a.example", "https://a.example/", "https://*.example", "ftp://a", "https://"] {
            assert_eq!(text.parse::<CorsOrigins>(), Err(ParseOriginsError(text.to_owned())));
        }
    }
}
