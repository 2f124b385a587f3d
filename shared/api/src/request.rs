//! What the layers know about a request before its handler runs.

use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use switchyard_kernel::{Actor, Context};

use crate::{Api, ApiError, ApiResult, PeerAddress};

/// The header that carries a request's id, in both directions.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An extension of a request that a runtime has found to be malformed. The layers answer it with this error, in the form
/// of the API and with a line in the log, instead of running a handler.
#[derive(Clone, Debug)]
pub struct Refusal(
    /// The error.
    pub ApiError,
);

const MAX_REQUEST_ID_BYTES: usize = 128;

/// The context of a request, before it is known whether a user sent it.
///
/// The id of the request is the client's own if it is suitable, or else a new UUID. It appears in every log
/// line, in the answer's `X-Request-Id`, and in the body of an error.
pub(crate) fn context_of(headers: &HeaderMap, extensions: &Extensions, api: &Api) -> Context {
    let peer = extensions.get::<PeerAddress>().map(|peer| peer.0);
    let user_agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Context {
        actor: Actor::Anonymous,
        request_id: own_id(headers).unwrap_or_else(|| api.ambient().uuid_v7().to_string()),
        // Absent only if the router is called without a connection, as in tests.
        address: peer.map(|peer| api.settings().trusted_proxies.client(peer, headers)),
        user_agent: user_agent.map(ToOwned::to_owned),
        now: api.ambient().now(),
        request_key: None,
    }
}

/// The id that the client chose. It is used if it is short and plain, since it appears in logs and headers.
fn own_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let fits = (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| id.to_owned())
}

/// A request's id as the value of a header.
pub(crate) fn header_of(request_id: &str) -> HeaderValue {
    // Visible ASCII by construction.
    HeaderValue::from_str(request_id).unwrap_or(HeaderValue::from_static("-"))
}

/// A value that the layers put into every request.
pub(crate) fn extension<T: Clone + Send + Sync + 'static>(extensions: &Extensions) -> ApiResult<T> {
    extensions.get().cloned().ok_or_else(|| ApiError::internal("the router is served without `serve_api`"))
}
