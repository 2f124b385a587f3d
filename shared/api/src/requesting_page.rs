//! The page that a browser sends a request for: which origin it has, and whether it may use cookies.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Uri, header};

use crate::request::extension;
use crate::stack::Api;
use crate::{ApiError, ApiResult, CorsOrigins, codes};

/// What the headers of a request say about the page that sent it.
///
/// A browser adds the cookies of the API to a request whichever page sends it. So a handler that acts on a cookie calls
/// [`require_trusted`](Self::require_trusted) first: the page must be one of the API itself, or its origin one of
/// `CORS_ORIGINS`. `SameSite` alone is not enough: it admits the pages of all hosts under one registered domain, and is off
/// for a page on another site. A request without `Origin` and `Sec-Fetch-Site` is not a browser's, and is trusted: its
/// client has put the cookie there itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestingPage {
    is_trusted: bool,
    is_cross_site: bool,
    is_local: bool,
}

impl RequestingPage {
    fn of(headers: &HeaderMap, uri: &Uri, origins: &CorsOrigins) -> Self {
        // HTTP/2 has the host in the target (RFC 9113 §8.3.1).
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| uri.authority().map(|authority| authority.as_str())).unwrap_or_default();
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        let origin = headers.get(header::ORIGIN);
        let is_trusted = match origin {
            Some(origin) => is_origin_of(origin, host) || origins.lists(origin),
            None => matches!(site, None | Some(b"same-origin" | b"none")),
        };
        // A proxy on the same machine may have replaced the host by the address that it forwards to.
        let is_local = is_local(host) && origin.is_none_or(is_local_origin);
        Self { is_trusted, is_cross_site: site == Some(b"cross-site"), is_local }
    }

    /// Whether the page may use the cookies of the API.
    pub fn is_trusted(self) -> bool {
        self.is_trusted
    }

    /// Whether the page belongs to another site than the API: another registered domain.
    pub fn is_cross_site(self) -> bool {
        self.is_cross_site
    }

    /// Whether the API is reached as `localhost`, where browsers connect without TLS, and by a page of that machine if by any.
    pub fn is_local(self) -> bool {
        self.is_local
    }

    /// Requires a page that may use the cookies of the API.
    ///
    /// # Errors
    ///
    /// 403 for any other.
    pub fn require_trusted(self) -> ApiResult<()> {
        if self.is_trusted {
            return Ok(());
        }
        let fault = "must be the API's own or one of CORS_ORIGINS for a request that uses a cookie";
        Err(ApiError::new(codes::FORBIDDEN).detail("Origin", fault))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestingPage {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> ApiResult<Self> {
        let api: Arc<Api> = extension(&parts.extensions)?;
        Ok(Self::of(&parts.headers, &parts.uri, &api.settings().cors_origins))
    }
}

/// Whether pages of the API itself, which is reached as `host`, have this origin. A page without TLS is taken for one only
/// on this machine: anyone between a browser and a server could have written another one.
fn is_origin_of(origin: &HeaderValue, host: &str) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    !host.is_empty()
        && match origin.split_once("://") {
            Some(("https", authority)) => authority.eq_ignore_ascii_case(host),
            Some(("http", authority)) => is_local(host) && authority.eq_ignore_ascii_case(host),
            _ => false,
        }
}

/// Whether pages of this origin come from this machine without TLS.
fn is_local_origin(origin: &HeaderValue) -> bool {
    origin.to_str().is_ok_and(|origin| origin.strip_prefix("http://").is_some_and(is_local))
}

/// Whether a host, with or without a port, is this machine (RFC 6761 §6.3).
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(headers: &[(&'static str, &'static str)]) -> RequestingPage {
        let origins = "https://app.example.net".parse().unwrap();
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        RequestingPage::of(&headers, &Uri::from_static("/"), &origins)
    }

    #[test]
    fn only_pages_of_the_api_and_of_listed_origins_are_trusted() {
        let from = |host, origin| page(&[("host", host), ("origin", origin)]).is_trusted();
        assert!(from("api.example.com", "https://api.example.com"));
        assert!(from("api.example.com", "https://app.example.net"));
        assert!(from("localhost:3000", "http://localhost:3000"));
        assert!(from("[::1]:3000", "http://[::1]:3000"));
        for (host, origin) in [
            ("api.example.com", "https://evil.example"),
            ("api.example.com", "https://evil.api.example.com"),
            ("api.example.com", "https://api.example.com:8443"),
            ("api.example.com", "http://api.example.com"),
            ("api.example.com", "http://app.example.net"),
            ("api.example.com", "null"),
            ("", "https://"),
            ("localhost:3000", "http://localhost:4000"),
        ] {
            assert!(!from(host, origin), "{origin} at {host}");
        }
    }

    #[test]
    fn without_an_origin_the_fetch_metadata_decide_if_there_are_any() {
        let trusted = |site| page(&[("host", "api.example.com"), ("sec-fetch-site", site)]).is_trusted();
        assert!(page(&[]).is_trusted());
        assert!(trusted("same-origin") && trusted("none"));
        assert!(!trusted("same-site") && !trusted("cross-site"));
    }

    #[test]
    fn the_machine_itself_is_known_by_its_names_and_addresses() {
        for host in
            ["localhost", "LOCALHOST:3000", "app.localhost", "127.0.0.1:80", "127.1.2.3", "[::1]:3000"]
        {
            assert!(page(&[("host", host)]).is_local(), "{host}");
        }
        assert!(page(&[("host", "localhost:3000"), ("origin", "http://localhost:5173")]).is_local());
        let proxied = page(&[("host", "127.0.0.1:3000"), ("origin", "https://app.example.net")]);
        assert!(!proxied.is_local() && proxied.is_trusted());
        for host in ["api.example.com", "localhost.example.com", "192.168.0.1:3000", "", "[2001:db8::1]"] {
            assert!(!page(&[("host", host)]).is_local(), "{host}");
        }
    }
}
