//! The refresh token as a cookie, for browsers. No script can read it, and no page of a foreign origin can use it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponseParts, ResponseParts};
use switchyard_api::{ApiError, ApiResult, RequestingPage, cookie};
use switchyard_identity::{Secret, Tokens};

/// The cookie's name. Browsers refuse a cookie of this name that did not come over TLS (RFC 6265bis §4.1.3.1), so nobody on
/// the way can plant another session.
pub(crate) const NAME: &str = "__Secure-refresh_token";
/// The cookie's name on `localhost`, where a server has no TLS: there Chrome refuses the prefix, and Safari all of `Secure`.
pub(crate) const LOCAL_NAME: &str = "refresh_token";

/// The device name that browsers sign in with.
const BROWSER: &str = "web";

/// What a request says about the cookie: its value, and which page sends it.
#[derive(Clone, Debug)]
pub(crate) struct RefreshCookie {
    page: RequestingPage,
    value: Option<Secret>,
}

impl<S: Send + Sync> FromRequestParts<S> for RefreshCookie {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let page = RequestingPage::from_request_parts(parts, state).await?;
        let value = cookie(&parts.headers, name(page)).filter(|value| !value.is_empty());
        Ok(Self { page, value: value.map(Secret::new) })
    }
}

fn name(page: RequestingPage) -> &'static str {
    if page.is_local() { LOCAL_NAME } else { NAME }
}

/// The cookie's attributes. Browsers send it only to the routes under this path.
///
/// To a page of the API's own site, the cookie is `SameSite=Strict`. A page of another site would never send that one back.
/// Its cookie is `SameSite=None`, and `Partitioned`: browsers keep it for this page's site alone, and some accept no other
/// cookie from there. What protects it from other pages is the check of `Origin`.
fn attributes(page: RequestingPage) -> &'static str {
    if page.is_local() {
        "Path=/api/v1/auth; HttpOnly; SameSite=Strict"
    } else if page.is_cross_site() && page.is_trusted() {
        "Path=/api/v1/auth; HttpOnly; Secure; SameSite=None; Partitioned"
    } else {
        "Path=/api/v1/auth; HttpOnly; Secure; SameSite=Strict"
    }
}

impl RefreshCookie {
    /// The refresh token in the cookie, if the request has one.
    ///
    /// # Errors
    ///
    /// 403 if the page that sends it may not use cookies.
    pub(crate) fn token(&self) -> ApiResult<Option<Secret>> {
        if self.value.is_some() {
            self.page.require_trusted()?;
        }
        Ok(self.value.clone())
    }

    /// Whether the session belongs to a browser, which keeps the refresh token in the cookie alone.
    pub(crate) fn is_for(tokens: &Tokens) -> bool {
        tokens.device_name.as_ref().is_some_and(|device| device.as_str() == BROWSER)
    }

    /// Sets the cookie if the session belongs to a browser.
    pub(crate) fn set(&self, tokens: &Tokens) -> SetCookie {
        let lifetime = tokens.refresh_expires_in.as_secs();
        SetCookie(Self::is_for(tokens).then(|| self.line(tokens.refresh_token.expose(), lifetime)))
    }

    /// Removes the cookie, unless a page asks for it that may not use cookies.
    pub(crate) fn removed(&self) -> SetCookie {
        SetCookie(self.page.is_trusted().then(|| self.line("", 0)))
    }

    fn line(&self, value: &str, max_age_seconds: u64) -> String {
        format!("{}={value}; Max-Age={max_age_seconds}; {}", name(self.page), attributes(self.page))
    }
}

/// What an answer does with the browser's cookie: this line of `Set-Cookie`, or nothing.
pub(crate) struct SetCookie(Option<String>);

impl IntoResponseParts for SetCookie {
    type Error = ApiError;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, ApiError> {
        if let Some(line) = self.0 {
            let mut value = HeaderValue::try_from(line).map_err(ApiError::internal)?;
            value.set_sensitive(true);
            parts.headers_mut().append(header::SET_COOKIE, value);
        }
        Ok(parts)
    }
}
