use axum::http::HeaderMap;
use switchyard_settings::Secret;

/// The value of a request header that carries a secret, such as the token of an anonymous cart. `None` if the request does
/// not have it, or has it more than once.
///
/// Declare the header in the `params(..)` of each operation that reads it, as in
/// `("X-Cart-Token" = Option<String>, Header, description = "…")`. Then pages of other origins may send it; a repeated
/// request with another value is not given the first one's answer; and its value is marked as one that must not be logged.
pub fn secret_header(headers: &HeaderMap, name: &str) -> Option<Secret> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next()?.to_str(), lines.next()) {
        (Ok(value), None) => Some(Secret::new(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_secret_is_sent_once_and_as_text() {
        let value = |lines: &[&'static [u8]]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-token", HeaderValue::from_bytes(line).unwrap());
            }
            secret_header(&headers, "x-token").map(|secret| secret.expose().to_owned())
        };
        assert_eq!(value(&[b"abc"]), Some("abc".to_owned()));
        assert_eq!(value(&[]), None);
        assert_eq!(value(&[b"abc", b"def"]), None);
        assert_eq!(value(&[b"\xff"]), None);
    }
}
