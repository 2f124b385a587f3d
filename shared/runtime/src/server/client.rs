use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use switchyard_api::{ApiError, PeerAddress, Refusal};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::body::RequestBody;
use super::conversation::{Awaited, Conversation};
use super::stream::{Patience, Stream};
use crate::BasePath;

/// The maximum size of a request's head, and of the buffered part of a body. More than twice what API Gateway
/// accepts as a head.
const MAX_BUFFER_BYTES: usize = 32 * 1024;

/// An extension of requests to a server that was told to stop and still accepts clients (`SHUTDOWN_DELAY`).
///
/// Its readiness check then says that it is not ready, so that a load balancer sends its clients elsewhere before the
/// server refuses them.
#[derive(Clone, Copy, Debug)]
pub struct Stopping;

/// A client that has connected.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) router: Router,
    pub(super) base_path: BasePath,
    pub(super) address: IpAddr,
    /// Whether the server was told to stop.
    pub(super) stopping: Arc<AtomicBool>,
}

impl Client {
    /// Answers the client's requests until the connection ends.
    ///
    /// A client may close its side after it has sent a request, and still gets its answer. A client that has gone does the
    /// same, so nothing tells the two apart before the answer is written. So every request that has begun runs to its end,
    /// and a server that stops waits for it.
    pub(super) fn serve(
        self,
        tcp: TcpStream,
        patience: Patience,
        connections: &GracefulShutdown,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let conversation = Arc::new(Conversation::new());
        let stream = Stream::new(tcp, Arc::clone(&conversation), patience);
        let service = service_fn(move |request| self.clone().answer(request, Arc::clone(&conversation)));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None) // the stream has the timers
            .half_close(true)
            .max_buf_size(MAX_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(fault) = connection.await {
                tracing::debug!(cause = %fault, "the connection failed");
            }
            drop(permit);
        });
    }

    async fn answer(
        self,
        request: Request<Incoming>,
        conversation: Arc<Conversation>,
    ) -> Result<Response<Body>, Infallible> {
        let mut request = RequestBody::of(request, &conversation).map(Body::new);
        request.extensions_mut().insert(PeerAddress(self.address));
        let stopping = self.stopping.load(Ordering::Relaxed);
        if stopping {
            request.extensions_mut().insert(Stopping);
        }
        if let Err(error) = check_host(request.version(), request.headers()) {
            request.extensions_mut().insert(Refusal(error));
        }
        let mut response = self.base_path.call(self.router, request).await;
        if stopping || conversation.awaited() == Awaited::UnwantedBody {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// Requires that a request names its host once (RFC 9112 §3.2). Programs that guess different hosts for one request can be
/// played off against each other.
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), ApiError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version < Version::HTTP_11 => Ok(()),
        (None, _) => Err(ApiError::invalid("Host", "is required")),
        (Some(_), Some(_)) => Err(ApiError::invalid("Host", "must be given once")),
        // Empty if the address has no host.
        (Some(host), None) if host.is_empty() || is_authority(host) => Ok(()),
        (Some(_), None) => {
            Err(ApiError::invalid("Host", "must be a host, as in api.example.com or api.example.com:8443"))
        }
    }
}

fn is_authority(host: &HeaderValue) -> bool {
    !host.as_bytes().contains(&b'@') && Authority::try_from(host.as_bytes()).is_ok()
}
