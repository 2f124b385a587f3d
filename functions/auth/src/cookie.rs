//! The refresh token as a cookie, for browsers. An injected script cannot read it, and no other site can make a
//! browser send it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponseParts, ResponseParts};
use switchyard_api::{ApiError, cookie};
use switchyard_identity::{Secret, Tokens};

/// The cookie's name.
pub(crate) const NAME: &str = "refresh_token";

/// The cookie's attributes. Browsers send it only to the routes under this path.
const ATTRIBUTES: &str = "Path=/api/v1/auth; HttpOnly; Secure; SameSite=Strict";

/// The device name that browsers sign in with.
const BROWSER: &str = "web";

/// The cookie of a request, if it has one.
#[derive(Clone, Debug)]
pub(crate) struct RefreshCookie(pub(crate) Option<Secret>);

impl<S: Send + Sync> FromRequestParts<S> for RefreshCookie {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(cookie(&parts.headers, NAME).map(Secret::new)))
    }
}

/// What an answer does with the browser's cookie.
#[derive(Clone, Debug)]
pub(crate) enum SetRefreshCookie {
    /// Sets it to the new token.
    To { token: Secret, max_age_seconds: u64 },
    /// Removes it.
    Removed,
    /// Leaves it unchanged.
    Unchanged,
}

impl SetRefreshCookie {
    /// Sets the cookie if the session belongs to a browser.
    pub(crate) fn of(tokens: &Tokens) -> Self {
        match &tokens.device_name {
            Some(device) if device.as_str() == BROWSER => Self::To {
                token: tokens.refresh_token.clone(),
                max_age_seconds: tokens.refresh_expires_in.as_secs(),
            },
            _ => Self::Unchanged,
        }
    }
}

impl IntoResponseParts for SetRefreshCookie {
    type Error = ApiError;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, ApiError> {
        let cookie = match &self {
            Self::To { token, max_age_seconds } => {
                format!("{NAME}={}; Max-Age={max_age_seconds}; {ATTRIBUTES}", token.expose())
            }
            Self::Removed => format!("{NAME}=; Max-Age=0; {ATTRIBUTES}"),
            Self::Unchanged => return Ok(parts),
        };
        let mut value = HeaderValue::try_from(cookie).map_err(ApiError::internal)?;
        value.set_sensitive(true);
        parts.headers_mut().append(header::SET_COOKIE, value);
        Ok(parts)
    }
}
