//! What is known of a request beside its content.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use switchyard_ambient::Timestamp;

use crate::{Api, ApiError, ApiResult, PeerAddress};

/// The header that carries a request's id, in and out.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_REQUEST_ID_BYTES: usize = 128;

/// The id of a request: the client's own, if it sent a fit one, else a new UUID. It stands in every log line, in the
/// answer's `X-Request-Id` and in the body of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A client's id is taken when it is short and plain: it goes into logs and headers.
    fn of(headers: &HeaderMap, api: &Api) -> Self {
        let own = headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| {
            (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
        });
        match own {
            Some(id) => Self(id.into()),
            None => Self(api.ambient().uuid_v7().to_string().into()),
        }
    }

    pub(crate) fn header_value(&self) -> HeaderValue {
        // Visible ASCII by construction.
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("-"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asks from where and when: what an audit entry or a session records beside the caller. An extractor.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The request's id.
    pub request_id: RequestId,
    /// The client's address; `None` only where the router is called without a connection, as in tests.
    pub client_address: Option<IpAddr>,
    /// The `User-Agent`, as far as it is text.
    pub user_agent: Option<String>,
    /// When the request came in.
    pub received_at: Timestamp,
}

impl RequestContext {
    pub(crate) fn of(headers: &HeaderMap, extensions: &Extensions, api: &Api) -> Self {
        let peer = extensions.get::<PeerAddress>().map(|peer| peer.0);
        Self {
            request_id: RequestId::of(headers, api),
            client_address: peer.map(|peer| api.settings().trusted_proxies.client(peer, headers)),
            user_agent: headers
                .get(header::USER_AGENT)
                .and_then(|agent| agent.to_str().ok())
                .map(ToOwned::to_owned),
            received_at: api.ambient().now(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> ApiResult<Self> {
        let context: Arc<Self> = extension(&parts.extensions)?;
        Ok(Self::clone(&context))
    }
}

/// Something that the layers put into every request.
pub(crate) fn extension<T: Clone + Send + Sync + 'static>(extensions: &Extensions) -> ApiResult<T> {
    extensions.get().cloned().ok_or_else(|| ApiError::internal("the router is served without `serve_api`"))
}
