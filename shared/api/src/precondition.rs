//! Conditional requests (RFC 9110 §13).

use std::convert::Infallible;
use std::fmt::Display;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use switchyard_kernel::{EntityTag, Precondition};

use crate::{ApiResult, codes};

/// The `If-Match` of a PUT, PATCH or DELETE, as the [`Precondition`] that the domain checks inside its
/// transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IfMatch(
    /// The precondition; [`Precondition::None`] if the request has no `If-Match`.
    pub Precondition,
);

impl IfMatch {
    /// Requires that the request has an `If-Match`.
    ///
    /// # Errors
    ///
    /// 428 if it has none.
    pub fn required(self) -> ApiResult<Precondition> {
        match self.0 {
            Precondition::None => Err(codes::PRECONDITION_REQUIRED.into()),
            given => Ok(given),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(precondition_of(&parts.headers)))
    }
}

/// A weak tag never matches (RFC 9110 §13.1.1 asks for the strong comparison).
fn precondition_of(headers: &HeaderMap) -> Precondition {
    match Tags::of(headers, &header::IF_MATCH) {
        None => Precondition::None,
        Some(Tags::Any) => Precondition::Exists,
        Some(Tags::Listed(tags)) => {
            let strong = tags.into_iter().filter(|tag| !tag.weak);
            Precondition::Matches(strong.map(|tag| EntityTag::new(tag.opaque)).collect())
        }
    }
}

/// The `If-None-Match` of a PUT that may create a resource but not replace one: `*`. The layers of
/// [`serve_api`](crate::serve_api) handle it for GET.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IfNoneMatch(Option<Tags>);

impl IfNoneMatch {
    /// Requires that the header does not exclude what exists now.
    ///
    /// # Errors
    ///
    /// 412 if it does.
    pub fn check(&self, present: Option<impl Display>) -> ApiResult<()> {
        match (&self.0, present) {
            (Some(tags), Some(version)) if tags.match_weakly(&format!("\"{version}\"")) => {
                Err(codes::PRECONDITION_FAILED.into())
            }
            _ => Ok(()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(Tags::of(&parts.headers, &header::IF_NONE_MATCH)))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    Listed(Vec<Tag>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    opaque: String,
    weak: bool,
}

impl Tags {
    /// The tags of a header, from all its lines. Text that is not an entity tag matches nothing.
    fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut lines = headers.get_all(name).iter().peekable();
        lines.peek()?;
        let mut tags = Vec::new();
        for line in lines.filter_map(|line| line.to_str().ok()) {
            if line.trim() == "*" {
                return Some(Self::Any);
            }
            read_list(line, &mut tags);
        }
        Some(Self::Listed(tags))
    }

    fn match_weakly(&self, etag: &str) -> bool {
        let Some(own) = Tag::read(etag).map(|(tag, _)| tag) else { return false };
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(|tag| tag.opaque == own.opaque),
        }
    }
}

impl Tag {
    /// The tag at the start of `text`, and what follows it.
    fn read(text: &str) -> Option<(Self, &str)> {
        let (weak, quoted) = match text.strip_prefix("W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (opaque, rest) = quoted.strip_prefix('"')?.split_once('"')?;
        Some((Self { opaque: opaque.to_owned(), weak }, rest))
    }
}

/// A tag may contain a comma, so the list is read tag by tag instead of split.
fn read_list(line: &str, tags: &mut Vec<Tag>) {
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        match Tag::read(rest) {
            Some((tag, after)) => {
                tags.push(tag);
                rest = after;
            }
            None => match rest.split_once(',') {
                Some((_, after)) => rest = after,
                None => return,
            },
        }
    }
}

/// The tags of the versions that a client already has.
pub(crate) struct KnownTags(Option<Tags>);

impl KnownTags {
    /// The `If-None-Match` of a GET or HEAD.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        Self(reads.then(|| Tags::of(headers, &header::IF_NONE_MATCH)).flatten())
    }

    /// 304 instead of a 200 whose `ETag` the client already has.
    pub(crate) fn shorten(&self, response: Response) -> Response {
        let etag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        match (&self.0, etag) {
            (Some(tags), Some(etag)) if response.status() == StatusCode::OK && tags.match_weakly(etag) => {
                not_modified(&response)
            }
            _ => response,
        }
    }
}

fn not_modified(response: &Response) -> Response {
    let mut headers = response.headers().clone();
    // RFC 9110 §15.4.5: the headers of the 200, without those that describe its body.
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
        headers.remove(name);
    }
    (StatusCode::NOT_MODIFIED, headers).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn if_match(lines: &[&'static str]) -> Precondition {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, HeaderValue::from_static(line));
        }
        precondition_of(&headers)
    }

    fn permits(lines: &[&'static str], version: &str) -> bool {
        if_match(lines).check(&EntityTag::new(version)).is_ok()
    }

    #[test]
    fn without_the_header_any_version_is_accepted_unless_it_is_required() {
        assert!(permits(&[], "v1"));
        let required = |lines| IfMatch(if_match(lines)).required().map_err(|error| error.code());
        assert_eq!(required(&[]), Err(codes::PRECONDITION_REQUIRED));
        assert_eq!(required(&["*"]), Ok(Precondition::Exists));
    }

    #[test]
    fn one_of_the_listed_tags_must_be_the_version() {
        assert!(permits(&["\"v1\""], "v1"));
        assert!(permits(&["\"v0\" ,\t\"v1\""], "v1"));
        assert!(permits(&["\"v0\"", "\"v1\""], "v1"));
        assert!(!permits(&["\"v0\""], "v1"));
        assert!(permits(&["*"], "v1"));
    }

    #[test]
    fn a_comma_inside_of_a_tag_does_not_end_it() {
        assert!(permits(&["\"a,b\""], "a,b"));
        assert!(!permits(&["\"a,b\""], "b"));
    }

    #[test]
    fn a_weak_tag_never_matches() {
        assert!(!permits(&["W/\"v1\""], "v1"));
    }

    #[test]
    fn text_that_is_not_a_tag_matches_nothing() {
        assert!(!permits(&["v1"], "v1"));
        assert!(!permits(&[""], "v1"));
        assert!(permits(&["v1, \"v1\""], "v1"));
    }

    #[test]
    fn if_none_match_with_a_star_excludes_every_version() {
        let star = IfNoneMatch(Some(Tags::Any));
        assert!(star.check(Some("v1")).is_err());
        assert!(star.check(None::<&str>).is_ok());
    }
}
