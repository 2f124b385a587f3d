use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderMap, HeaderValue, Request, Response, header};
use tower::ServiceExt;

use crate::path::normalize;

/// The path below which the API is reached (`BASE_PATH`), as in `/shop`: the key of an API mapping of a custom domain, or
/// what a proxy does not remove. It is removed from paths before they are routed. Paths without it are routed too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(Option<Arc<str>>);

/// The text is not a base path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a path as in /shop, without a slash at its end")]
pub struct ParseBasePathError;

impl FromStr for BasePath {
    type Err = ParseBasePathError;

    fn from_str(text: &str) -> Result<Self, ParseBasePathError> {
        let segments = text.strip_prefix('/').ok_or(ParseBasePathError)?.split('/');
        let is_plain = |segment: &str| {
            !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~$".contains(&b))
        };
        if segments.clone().all(is_plain) { Ok(Self(Some(text.into()))) } else { Err(ParseBasePathError) }
    }
}

impl BasePath {
    /// The path of an API Gateway stage.
    pub(crate) fn of_stage(stage: &str) -> Self {
        Self(Some(format!("/{stage}").into()))
    }

    /// Calls a router with the request's path in normal form and without the base path. Puts the base path before the paths
    /// in the answer's `Location` and `Set-Cookie`, if the request had it.
    pub(crate) async fn call(&self, router: Router, mut request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        let normal = if needs_work(path) { normalize(path) } else { path.to_owned() };
        let base = self.0.as_deref().filter(|base| is_below(base, &normal));
        let below = base.map_or(&*normal, |base| &normal[base.len()..]);
        if below != path {
            set_path(request.uri_mut(), if below.is_empty() { "/" } else { below });
        }
        let Ok(mut response) = router.oneshot(request).await;
        if let Some(base) = base {
            prepend(base, response.headers_mut());
        }
        response
    }
}

/// Whether a path may differ from its normal form.
fn needs_work(path: &str) -> bool {
    path.starts_with('/') && !path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~".contains(&b))
}

fn is_below(base: &str, path: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Replaces the path of an address, and keeps its query.
fn set_path(uri: &mut Uri, path: &str) {
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    // A path in normal form is valid. If it became too long by that, the router gets the original.
    if let Ok(target) = PathAndQuery::try_from(target) {
        parts.path_and_query = Some(target);
        if let Ok(changed) = Uri::from_parts(parts) {
            *uri = changed;
        }
    }
}

/// Puts the base path before the paths of these headers that a browser compares with those it requests.
fn prepend(base: &str, headers: &mut HeaderMap) {
    const PATH: &str = "; Path=";
    let location = headers.get(header::LOCATION).filter(|location| location.as_bytes().starts_with(b"/"));
    let location = location.map(|path| HeaderValue::from_bytes(&[base.as_bytes(), path.as_bytes()].concat()));
    if let Some(Ok(location)) = location {
        headers.insert(header::LOCATION, location);
    }
    if let header::Entry::Occupied(mut cookies) = headers.entry(header::SET_COOKIE) {
        for cookie in cookies.iter_mut() {
            let text = cookie.to_str().unwrap_or_default();
            if let Ok(mut changed) = HeaderValue::try_from(text.replacen(PATH, &format!("{PATH}{base}"), 1)) {
                changed.set_sensitive(cookie.is_sensitive());
                *cookie = changed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::AppendHeaders;
    use axum::routing::get;

    use super::*;

    #[test]
    fn a_base_path_has_plain_segments() {
        for valid in ["/shop", "/shop/v2", "/$default"] {
            assert_eq!(valid.parse(), Ok(BasePath(Some(valid.into()))));
        }
        for invalid in ["/", "shop", "/shop/", "//shop", "/a b", "/a?b", "/ä", "/%41"] {
            assert_eq!(invalid.parse::<BasePath>(), Err(ParseBasePathError), "{invalid}");
        }
    }

    async fn ask(base: &str, target: &str) -> (String, HeaderMap) {
        let router = Router::new().fallback(get(|uri: Uri| async move {
            let headers = [
                (header::LOCATION, "/api/v1/users/7"),
                (header::SET_COOKIE, "a=1; Path=/api/v1/auth; HttpOnly"),
                (header::SET_COOKIE, "b=2; HttpOnly"),
            ];
            (AppendHeaders(headers), uri.to_string())
        }));
        let base: BasePath = if base.is_empty() { BasePath::default() } else { base.parse().unwrap() };
        let request = Request::get(target).body(Body::empty()).unwrap();
        let (parts, body) = base.call(router, request).await.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (String::from_utf8(body.to_vec()).unwrap(), parts.headers)
    }

    #[tokio::test]
    async fn the_base_path_is_removed_from_paths_that_have_it() {
        for (base, target, routed) in [
            ("", "/m%65?x=%41", "/me?x=%41"),
            ("", "/shop/me", "/shop/me"),
            ("/shop", "/shop/me?x=1", "/me?x=1"),
            ("/shop", "/%73hop/me", "/me"),
            ("/shop", "/shop", "/"),
            ("/shop", "/shop/", "/"),
            ("/shop", "/shopping", "/shopping"),
            ("/shop", "/healthz", "/healthz"),
        ] {
            assert_eq!(ask(base, target).await.0, routed, "{base} {target}");
        }
    }

    #[tokio::test]
    async fn addresses_in_answers_have_the_base_path_of_the_request() {
        let (_, headers) = ask("/shop", "/shop/users").await;
        assert_eq!(headers[header::LOCATION], "/shop/api/v1/users/7");
        let cookies: Vec<_> = headers.get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; Path=/shop/api/v1/auth; HttpOnly", "b=2; HttpOnly"]);
        let (_, headers) = ask("/shop", "/users").await;
        assert_eq!(headers[header::LOCATION], "/api/v1/users/7");
    }
}
