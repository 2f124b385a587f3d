use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::{ApiError, codes};

/// How many bytes a request's body may have: 1 MiB.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Reads a whole body, if it is not too large.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Err(codes::PAYLOAD_TOO_LARGE.into()); // before a byte of it was read
    }
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(fault) if fault.downcast_ref::<LengthLimitError>().is_some() => {
            Err(codes::PAYLOAD_TOO_LARGE.into())
        }
        Err(fault) => Err(ApiError::invalid("body", "broke off before its end").caused_by(fault)),
    }
}

/// Whether the body says that it is JSON: `application/json`, or one of `also`, in UTF-8.
pub(crate) fn is_json(headers: &HeaderMap, also: &[&str]) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let known =
        std::iter::once(&"application/json").chain(also).any(|known| essence.eq_ignore_ascii_case(known));
    known
        && parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
            !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says_json(content_type: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        is_json(&headers, &["application/merge-patch+json"])
    }

    #[test]
    fn json_in_utf_8_is_accepted_however_it_is_written() {
        assert!(says_json("application/json"));
        assert!(says_json("Application/JSON; charset=\"UTF-8\""));
        assert!(says_json("application/merge-patch+json"));
    }

    #[test]
    fn other_types_and_other_encodings_are_not() {
        assert!(!says_json("text/plain"));
        assert!(!says_json("application/jsonp"));
        assert!(!says_json("application/json; charset=latin-1"));
        assert!(!is_json(&HeaderMap::new(), &[]));
    }
}
