//! Conditional requests (RFC 9110 §13).

use std::convert::Infallible;
use std::fmt::Display;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::{ApiResult, ErrorCode};

/// The `If-Match` of a PUT, PATCH or DELETE, for the handler to hold against the version that it is about to change.
///
/// Check it inside the transaction that makes the change; otherwise another writer can come between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IfMatch(Option<Tags>);

impl IfMatch {
    /// Accepts a request without the header, and one that names `version`.
    ///
    /// # Errors
    ///
    /// 412 when it names only others.
    pub fn check(&self, version: impl Display) -> ApiResult<()> {
        match &self.0 {
            Some(tags) if !tags.match_strongly(&version.to_string()) => {
                Err(ErrorCode::PreconditionFailed.into())
            }
            _ => Ok(()),
        }
    }

    /// Accepts only a request that has the header.
    ///
    /// # Errors
    ///
    /// 428 when it does not.
    pub fn require(&self) -> ApiResult<&Self> {
        if self.0.is_some() { Ok(self) } else { Err(ErrorCode::PreconditionRequired.into()) }
    }

    /// Whether the request has the header.
    pub fn is_given(&self) -> bool {
        self.0.is_some()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(Tags::of(&parts.headers, &header::IF_MATCH)))
    }
}

/// The `If-None-Match` of a PUT that is to create and never to replace: `*`. For GET the layers of
/// [`serve_api`](crate::serve_api) see to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IfNoneMatch(Option<Tags>);

impl IfNoneMatch {
    /// Holds the header against what exists now.
    ///
    /// # Errors
    ///
    /// 412 when it excludes that.
    pub fn check(&self, present: Option<impl Display>) -> ApiResult<()> {
        match (&self.0, present) {
            (Some(tags), Some(version)) if tags.match_weakly(&format!("\"{version}\"")) => {
                Err(ErrorCode::PreconditionFailed.into())
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
    /// The tags of a header, of all its lines. What is no entity tag matches nothing.
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

    fn match_strongly(&self, opaque: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(|tag| !tag.weak && tag.opaque == opaque),
        }
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

/// A comma may stand inside of a tag, so the list is read tag by tag and not split.
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

/// What a client that reads has already.
pub(crate) struct Known(Option<Tags>);

impl Known {
    /// The `If-None-Match` of a GET or HEAD.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        Self(reads.then(|| Tags::of(headers, &header::IF_NONE_MATCH)).flatten())
    }

    /// 304 in the place of a 200 whose `ETag` the client knows: what it has is still good.
    pub(crate) fn spare(&self, response: Response) -> Response {
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
    // RFC 9110 §15.4.5: the headers that the 200 would have had, without those that describe its body.
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
        headers.remove(name);
    }
    (StatusCode::NOT_MODIFIED, headers).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn if_match(lines: &[&'static str]) -> IfMatch {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, HeaderValue::from_static(line));
        }
        IfMatch(Tags::of(&headers, &header::IF_MATCH))
    }

    fn permits(lines: &[&'static str], version: &str) -> bool {
        if_match(lines).check(version).is_ok()
    }

    #[test]
    fn without_the_header_any_version_is_accepted_unless_it_is_required() {
        assert!(permits(&[], "v1"));
        assert_eq!(
            if_match(&[]).require().map_err(|error| error.code()),
            Err(ErrorCode::PreconditionRequired)
        );
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
    fn what_is_no_tag_matches_nothing() {
        assert!(!permits(&["v1"], "v1"));
        assert!(!permits(&[""], "v1"));
        assert!(permits(&["v1, \"v1\""], "v1"));
    }

    #[test]
    fn if_none_match_with_a_star_excludes_whatever_exists() {
        let star = IfNoneMatch(Some(Tags::Any));
        assert!(star.check(Some("v1")).is_err());
        assert!(star.check(None::<&str>).is_ok());
    }
}
