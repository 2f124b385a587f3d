//! The refresh token as a cookie, for browsers: a script that gets into a page cannot read it, and no other site can
//! make a browser send it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponseParts, ResponseParts};
use switchyard_api::{ApiError, cookie};
use switchyard_identity::{Secret, Tokens};

/// The cookie's name.
pub(crate) const NAME: &str = "refresh_token";

/// Where browsers send it: to the routes that use it and nowhere else.
const ATTRIBUTES: &str = "Path=/api/v1/auth; HttpOnly; Secure; SameSite=Strict";

/// What a browser calls itself when it signs in.
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

/// What becomes of the browser's cookie with an answer.
#[derive(Clone, Debug)]
pub(crate) enum SetRefreshCookie {
    /// It is set to the new token.
    To { token: Secret, max_age_seconds: u64 },
    /// It is removed.
    Removed,
    /// It is left alone.
    Unchanged,
}

impl SetRefreshCookie {
    /// Sets it for sessions of browsers.
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
