//! The refresh token and the device token as cookies, for browsers. No script can read them, and no page of a foreign origin
//! can use them.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponseParts, ResponseParts};
use switchyard_api::{ApiError, ApiResult, RequestingPage, cookie};
use switchyard_identity::{Identity, Secret, Tokens};
use switchyard_kernel::Context;
use utoipa::IntoParams;

/// The names of a cookie.
struct Name {
    /// Browsers refuse a cookie of this name that did not come over TLS (RFC 6265bis §4.1.3.1), so nobody on the way can plant
    /// another session or device.
    secure: &'static str,
    /// The name on `localhost`, where a server has no TLS: there Chrome refuses the prefix, and Safari all of `Secure`.
    local: &'static str,
}

const REFRESH: Name = Name { secure: "__Secure-refresh_token", local: "refresh_token" };
const DEVICE: Name = Name { secure: "__Secure-device_token", local: "device_token" };

/// The cookie of the refresh token, for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Cookie)]
#[expect(dead_code, reason = "only describes what `Cookies` reads")]
pub struct RefreshCookie {
    /// The refresh token of a browser.
    #[param(rename = "__Secure-refresh_token")]
    secure: Option<String>,
    /// The same, of an API on `localhost`.
    #[param(rename = "refresh_token")]
    local: Option<String>,
}

/// The cookie of the device token, for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Cookie)]
#[expect(dead_code, reason = "only describes what `Cookies` reads")]
pub struct DeviceCookie {
    /// The device token of a browser.
    #[param(rename = "__Secure-device_token")]
    secure: Option<String>,
    /// The same, of an API on `localhost`.
    #[param(rename = "device_token")]
    local: Option<String>,
}

/// How long a browser keeps the device token. It outlasts its session, and browsers keep no cookie for longer
/// (RFC 6265bis §5.5). Each answer with tokens starts this time again.
const DEVICE_LIFETIME: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// The device name that browsers sign in with.
const BROWSER: &str = "web";

/// What a request says about the cookies: their values, and which page sends them.
#[derive(Clone, Debug)]
pub struct Cookies {
    page: RequestingPage,
    refresh_token: Option<Secret>,
    device_token: Option<Secret>,
}

impl<S: Send + Sync> FromRequestParts<S> for Cookies {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let page = RequestingPage::from_request_parts(parts, state).await?;
        let [refresh_token, device_token] =
            [REFRESH, DEVICE].map(|cookie| cookie.value(page, &parts.headers).map(Secret::new));
        Ok(Self { page, refresh_token, device_token })
    }
}

impl Name {
    fn for_page(&self, page: RequestingPage) -> &'static str {
        if page.is_local() { self.local } else { self.secure }
    }

    fn value<'a>(&self, page: RequestingPage, headers: &'a HeaderMap) -> Option<&'a str> {
        cookie(headers, self.for_page(page)).filter(|value| !value.is_empty())
    }

    /// The line of `Set-Cookie`.
    fn line(&self, page: RequestingPage, value: &str, lifetime: Duration) -> String {
        let (name, max_age) = (self.for_page(page), lifetime.as_secs());
        format!("{name}={value}; Max-Age={max_age}; {}", attributes(page))
    }
}

/// The attributes of the cookies. Browsers send them only to the routes under this path.
///
/// To a page of the API's own site, a cookie is `SameSite=Strict`. A page of another site would never send that one back.
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

impl Cookies {
    /// The refresh token of the body, or else that of the cookie.
    ///
    /// # Errors
    ///
    /// 403 if it is in the cookie, and the page that sends it may not use cookies.
    pub fn refresh_token_or(&self, in_body: Option<Secret>) -> ApiResult<Option<Secret>> {
        if in_body.is_none() && self.refresh_token.is_some() {
            self.page.require_trusted()?;
        }
        Ok(in_body.or_else(|| self.refresh_token.clone()))
    }

    /// The device token of the body, or else that of the cookie if the request comes from a page that may use cookies. Another
    /// page could guess with it until the device is locked.
    pub fn device_token_or(&self, in_body: Option<Secret>) -> Option<Secret> {
        in_body.or_else(|| self.device_token.clone().filter(|_| self.page.is_trusted()))
    }

    /// Whether the session belongs to a browser, which keeps its tokens in cookies alone.
    pub(crate) fn are_for(tokens: &Tokens) -> bool {
        tokens.device_name.as_ref().is_some_and(|device| device.as_str() == BROWSER)
    }

    /// Sets the cookies if the session belongs to a browser.
    pub fn set(&self, tokens: &Tokens) -> SetCookies {
        if !Self::are_for(tokens) {
            return SetCookies(Vec::new());
        }
        SetCookies(vec![
            REFRESH.line(self.page, tokens.refresh_token.expose(), tokens.refresh_expires_in),
            DEVICE.line(self.page, tokens.device_token.expose(), DEVICE_LIFETIME),
        ])
    }

    /// Ends the session that a browser loses because it gets `tokens`: nobody would end it later, since its refresh token is
    /// lost.
    ///
    /// # Errors
    ///
    /// If the session cannot be ended.
    pub async fn end_replaced_session(
        &self,
        context: &Context,
        identity: &Identity,
        tokens: &Tokens,
    ) -> ApiResult<()> {
        let is_replaced = Self::are_for(tokens) && self.page.is_trusted();
        if let Some(replaced) = self.refresh_token.as_ref().filter(|_| is_replaced) {
            identity.sessions().log_out(context, Some(replaced.expose())).await?;
        }
        Ok(())
    }

    /// Removes the refresh token, unless a page asks for it that may not use cookies. The device stays known.
    pub fn without_session(&self) -> SetCookies {
        let removed = self.page.is_trusted().then(|| REFRESH.line(self.page, "", Duration::ZERO));
        SetCookies(removed.into_iter().collect())
    }
}

/// What an answer does with the browser's cookies: lines of `Set-Cookie`.
#[derive(Debug)]
pub struct SetCookies(Vec<String>);

impl IntoResponseParts for SetCookies {
    type Error = ApiError;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, ApiError> {
        for line in self.0 {
            let mut value = HeaderValue::try_from(line).map_err(ApiError::internal)?;
            value.set_sensitive(true);
            parts.headers_mut().append(header::SET_COOKIE, value);
        }
        Ok(parts)
    }
}
