//! Conditional requests (RFC 9110 §13).

mod tags;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::Response;
use switchyard_kernel::Precondition;

use crate::{ApiError, ApiResult, codes};

use tags::{Tags, read_tag};

/// The `If-Match` and `If-None-Match` of a PUT, PATCH or DELETE, as the [`Precondition`] that the domain checks inside its
/// transaction. A malformed header is refused with 400.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditional(
    /// The precondition; [`Precondition::None`] if the request has neither header.
    pub Precondition,
);

impl Conditional {
    /// Requires that the request has an `If-Match`.
    ///
    /// # Errors
    ///
    /// 428 if it has none.
    pub fn required(self) -> ApiResult<Precondition> {
        match self.0 {
            Precondition::None | Precondition::Absent | Precondition::Differs(_) => {
                Err(codes::PRECONDITION_REQUIRED.into())
            }
            given => Ok(given),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Conditional {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> ApiResult<Self> {
        precondition_of(&parts.headers).map(Self)
    }
}

fn precondition_of(headers: &HeaderMap) -> ApiResult<Precondition> {
    let if_match = read(headers, &header::IF_MATCH, "If-Match")?.map(|tags| match tags {
        Tags::Any => Precondition::Exists,
        Tags::Listed(tags) => Precondition::Matches(tags),
    });
    let if_none_match = read(headers, &header::IF_NONE_MATCH, "If-None-Match")?.map(|tags| match tags {
        Tags::Any => Precondition::Absent,
        Tags::Listed(tags) => Precondition::Differs(tags),
    });
    Ok(match (if_match, if_none_match) {
        (Some(if_match), Some(if_none_match)) => Precondition::All(vec![if_match, if_none_match]),
        (one, other) => one.or(other).unwrap_or_default(),
    })
}

fn read(headers: &HeaderMap, header: &HeaderName, name: &str) -> ApiResult<Option<Tags>> {
    let rule = "must be `*`, or the ETag as you got it: in double quotes, as in \"3f2a9c\"";
    Tags::of(headers, header).map_err(|_malformed| ApiError::invalid(name, rule))
}

/// The tags of the versions that a client already has.
pub(crate) struct KnownTags(Option<Tags>);

impl KnownTags {
    /// The `If-None-Match` of a GET or HEAD. A malformed one is ignored: the answer is then longer than it has to be, and
    /// nothing is overwritten.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let tags = || Tags::of(headers, &header::IF_NONE_MATCH).unwrap_or_default();
        Self(reads.then(tags).flatten())
    }

    /// 304 instead of a 200 whose `ETag` the client already has.
    pub(crate) fn shorten(&self, response: Response) -> Response {
        let etag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        match (&self.0, etag.and_then(read_tag)) {
            (Some(known), Some((tag, _))) if response.status() == StatusCode::OK && known.include(&tag) => {
                not_modified(response)
            }
            _ => response,
        }
    }
}

fn not_modified(response: Response) -> Response {
    let (mut parts, _body) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    // RFC 9110 §15.4.5: the headers of the 200, without those that describe its body.
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
        parts.headers.remove(name);
    }
    Response::from_parts(parts, Body::empty())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use switchyard_kernel::EntityTag;

    use super::*;

    fn precondition(headers: &[(HeaderName, &'static str)]) -> ApiResult<Precondition> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        precondition_of(&headers.collect())
    }

    #[test]
    fn the_headers_become_one_precondition() {
        let tags = || vec![EntityTag::new("v1")];
        let of = |headers: &[_]| precondition(headers).unwrap();
        assert_eq!(of(&[]), Precondition::None);
        assert_eq!(of(&[(header::IF_MATCH, "*")]), Precondition::Exists);
        assert_eq!(of(&[(header::IF_MATCH, "\"v1\"")]), Precondition::Matches(tags()));
        assert_eq!(of(&[(header::IF_NONE_MATCH, "*")]), Precondition::Absent);
        assert_eq!(of(&[(header::IF_NONE_MATCH, "W/\"v1\"")]), Precondition::Differs(tags()));
        assert_eq!(
            of(&[(header::IF_MATCH, "*"), (header::IF_NONE_MATCH, "\"v1\"")]),
            Precondition::All(vec![Precondition::Exists, Precondition::Differs(tags())])
        );
    }

    #[test]
    fn an_if_match_can_be_required() {
        let required = |headers: &[_]| {
            Conditional(precondition(headers).unwrap()).required().map_err(|error| error.code())
        };
        assert_eq!(required(&[]), Err(codes::PRECONDITION_REQUIRED));
        assert_eq!(required(&[(header::IF_NONE_MATCH, "\"v1\"")]), Err(codes::PRECONDITION_REQUIRED));
        assert_eq!(required(&[(header::IF_MATCH, "*")]), Ok(Precondition::Exists));
    }
}
