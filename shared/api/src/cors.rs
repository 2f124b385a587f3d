//! Who may call the API from another origin (Fetch standard, CORS protocol).

use std::str::FromStr;

use axum::http::{HeaderName, HeaderValue};
use switchyard_settings::is_nearly;

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

impl CorsOrigins {
    /// Whether the origin is listed, so that its pages may use cookies. With `*` none is.
    pub(crate) fn lists(&self, origin: &HeaderValue) -> bool {
        matches!(self, Self::Listed(origins) if origins.contains(origin))
    }
}

/// The text is not a list of origins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{origin}` is not an origin as in https://app.example.com: {reason}")]
pub struct ParseOriginsError {
    origin: String,
    reason: &'static str,
}

impl FromStr for CorsOrigins {
    type Err = ParseOriginsError;

    fn from_str(text: &str) -> Result<Self, ParseOriginsError> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let origins = entries.map(|entry| {
            origin(entry).map_err(|reason| ParseOriginsError { origin: entry.to_owned(), reason })
        });
        origins.collect::<Result<_, _>>().map(Self::Listed)
    }
}

/// Schemes of addresses whose pages have no origin of their own, or that are no pages.
const WITHOUT_ORIGIN: [&str; 8] = ["about", "blob", "data", "file", "ftp", "javascript", "ws", "wss"];

/// An origin is compared as browsers send it: a scheme and an authority, without a path (RFC 6454 §6.1). Apps have schemes of
/// their own, as in `capacitor://localhost`, `tauri://localhost` or `chrome-extension://…`.
fn origin(text: &str) -> Result<HeaderValue, &'static str> {
    let text = text.to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://").ok_or("it has no scheme")?;
    let begins = scheme.starts_with(|first: char| first.is_ascii_lowercase());
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    if !begins || !scheme.bytes().all(fits) {
        return Err("its scheme is malformed");
    }
    if WITHOUT_ORIGIN.contains(&scheme) {
        return Err("nothing with this scheme has an origin");
    }
    let is_web = matches!(scheme, "http" | "https");
    if !is_web && is_nearly(scheme, "https") {
        return Err("its scheme is nearly https");
    }
    if authority.contains(['/', '?', '#']) {
        return Err("it must end with the host or the port");
    }
    let plain = authority.bytes().all(|byte| byte.is_ascii_graphic() && !b"@*\\\"<>^`{|}".contains(&byte));
    let (host, port) = split_port(authority);
    if !plain || host.is_empty() {
        return Err("its host is malformed; browsers send international names in Punycode");
    }
    match (scheme, port) {
        ("http", Some("80")) | ("https", Some("443")) => Err("browsers leave the default port out"),
        (_, Some(port)) if port.starts_with('0') || port.parse::<u16>().is_err() => {
            Err("its port is malformed")
        }
        _ => HeaderValue::try_from(text).map_err(|_| "it is malformed"),
    }
}

/// The host and the port of an authority. The colons of an IPv6 address are in brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Names of request headers, as in `traceparent, baggage`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderNames(pub(crate) Vec<HeaderName>);

/// The text is not a list of names of headers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a header, as in traceparent")]
pub struct ParseHeaderNamesError(String);

impl FromStr for HeaderNames {
    type Err = ParseHeaderNamesError;

    fn from_str(text: &str) -> Result<Self, ParseHeaderNamesError> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let names = entries.map(|entry| match entry.parse() {
            // With credentials, `*` is no wildcard but a header of that name.
            Ok(name) if entry != "*" => Ok(name),
            _ => Err(ParseHeaderNamesError(entry.to_owned())),
        });
        names.collect::<Result<_, _>>().map(Self)
    }
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
    fn apps_have_origins_with_schemes_of_their_own() {
        for text in [
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "chrome-extension://abcdefghijklmnop",
            "com.example.app://localhost",
            "http://tauri.localhost",
            "http://[::1]:5173",
            "https://A.example",
        ] {
            let expected = HeaderValue::try_from(text.to_ascii_lowercase()).unwrap();
            assert_eq!(text.parse(), Ok(CorsOrigins::Listed(vec![expected])), "{text}");
        }
    }

    #[test]
    fn text_that_no_browser_sends_as_an_origin_is_refused() {
        for (text, reason) in [
            ("a.example", "it has no scheme"),
            ("1s://a", "its scheme is malformed"),
            ("ftp://a", "nothing with this scheme has an origin"),
            ("file://", "nothing with this scheme has an origin"),
            ("htps://a.example", "its scheme is nearly https"),
            ("httpss://a.example", "its scheme is nearly https"),
            ("https://a.example/", "it must end with the host or the port"),
            ("https://*.example", "its host is malformed; browsers send international names in Punycode"),
            ("https://", "its host is malformed; browsers send international names in Punycode"),
            (
                "https://bücher.example",
                "its host is malformed; browsers send international names in Punycode",
            ),
            ("https://a.example:443", "browsers leave the default port out"),
            ("https://a.example:99999", "its port is malformed"),
            ("https://a.example:", "its port is malformed"),
        ] {
            let expected = ParseOriginsError { origin: text.to_owned(), reason };
            assert_eq!(text.parse::<CorsOrigins>(), Err(expected));
        }
    }

    #[test]
    fn header_names_are_listed_with_commas() {
        let names = ["traceparent", "baggage"].map(HeaderName::from_static);
        assert_eq!("traceparent, Baggage".parse(), Ok(HeaderNames(names.to_vec())));
        for text in ["a b", "*", "x:y"] {
            assert_eq!(text.parse::<HeaderNames>(), Err(ParseHeaderNamesError(text.to_owned())));
        }
    }
}
