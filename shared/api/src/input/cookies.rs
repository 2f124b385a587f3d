use axum::http::{HeaderMap, header};

/// Returns the value of the first cookie with this name.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // HTTP/2 clients may send each cookie in a separate header (RFC 9113 §8.2.3).
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_on_any_line() {
        let mut headers = HeaderMap::new();
        for line in ["theme=dark; xtoken=1;token=a=b", "token=c; flag"] {
            headers.append(header::COOKIE, HeaderValue::from_static(line));
        }
        assert_eq!(cookie(&headers, "theme"), Some("dark"));
        assert_eq!(cookie(&headers, "token"), Some("a=b"));
        assert_eq!(cookie(&headers, "flag"), None);
        assert_eq!(cookie(&HeaderMap::new(), "token"), None);
    }
}
