use std::fmt;
use std::str::FromStr;

/// The URL under which clients reach the API, as in `https://api.example.com/shop`: with its base path, without a slash at its
/// end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

/// The text is not such a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an http or https URL without a slash at its end, as in https://api.example.com or https://example.com/shop"
)]
pub struct ParsePublicUrlError;

impl PublicUrl {
    /// What it may be, for [`Environment::setting`](crate::Environment::setting).
    pub const FORM: &'static str = "a URL, as in https://api.example.com or https://example.com/shop";

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of a path of the API, which begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl FromStr for PublicUrl {
    type Err = ParsePublicUrlError;

    fn from_str(text: &str) -> Result<Self, ParsePublicUrlError> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let mut segments = rest.ok_or(ParsePublicUrlError)?.split('/');
        let is_of = |segment: &str, more: &[u8]| {
            !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
        };
        let has_host = segments.next().is_some_and(|host| is_of(host, b"-.:[]"));
        if has_host && segments.all(|segment| is_of(segment, b"-._~$")) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParsePublicUrlError)
        }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_has_a_host_and_perhaps_a_path() {
        for url in [
            "https://api.example.com",
            "http://localhost:3000",
            "http://[::1]:3000",
            "https://a.example/shop/v2",
        ] {
            assert_eq!(url.parse::<PublicUrl>().map(|url| url.join("/x")), Ok(format!("{url}/x")));
        }
        for text in [
            "",
            "api.example.com",
            "https://",
            "https:///x",
            "https://a.example/",
            "https://a.example//x",
            "https://a.example?x",
            "https://a.example/x#y",
            "https://user@a.example",
            "ftp://a.example",
            "https://a b.example",
        ] {
            assert_eq!(text.parse::<PublicUrl>(), Err(ParsePublicUrlError), "{text}");
        }
    }
}
