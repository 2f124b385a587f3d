//! Runs a router as an HTTP server.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use switchyard_api::PeerAddress;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

use crate::impatient::Impatient;

/// The maximum size of a request's head, and of the buffered part of a body. More than twice what API Gateway
/// accepts as a head.
const MAX_BUFFER_BYTES: usize = 32 * 1024;
/// The number of files that a program opens besides its clients' connections, mostly for the database.
const OTHER_FILES: u64 = 128;

/// The limits of clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The time that a client may take to send the head of a request, to stay idle between two requests, and to read no
    /// byte of an answer. Without it, a silent client would hold its connection forever.
    pub(crate) client_timeout: Duration,
    /// How many connections are open at once. Further clients wait until one of them closes.
    pub(crate) max_connections: usize,
    /// How long running requests may continue when the server is told to stop.
    pub(crate) shutdown_timeout: Duration,
}

/// Answers requests until `stop` completes. Then accepts no more, and waits for those that are running.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    limits: Limits,
) {
    let connections = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    tokio::pin!(stop);
    loop {
        tokio::select! {
            (accepted, permit) = accept(&listener, &permits) => match accepted {
                Ok((stream, peer)) => {
                    let stream = Impatient::new(stream, limits.client_timeout);
                    answer(stream, peer, router.clone(), limits.client_timeout, &connections, permit);
                }
                Err(fault) => pause_after(&fault).await,
            },
            () = &mut stop => break,
        }
    }
    drop(listener);
    tracing::info!(connections = connections.count(), "stopping; running requests may finish");
    if tokio::time::timeout(limits.shutdown_timeout, connections.shutdown()).await.is_err() {
        tracing::warn!("stopped before every request had finished");
    }
}

/// Accepts the next client as soon as there is room. Until then, the client waits in the system's queue, which
/// costs almost nothing.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (io::Result<(TcpStream, SocketAddr)>, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so acquiring a permit never fails.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    (listener.accept().await, permit)
}

fn answer(
    stream: Impatient,
    peer: SocketAddr,
    router: Router,
    client_timeout: Duration,
    connections: &GracefulShutdown,
    permit: Option<OwnedSemaphorePermit>,
) {
    let service =
        service_fn(move |request: Request<Incoming>| router.clone().oneshot(with_peer(request, peer.ip())));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(client_timeout)
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

fn with_peer(request: Request<Incoming>, peer: IpAddr) -> Request<Body> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(PeerAddress(peer));
    request
}

/// Waits after a failed `accept`. If only the client has gone, there is no reason to wait. Other faults, such
/// as too many open files, take time to pass, and would occur again at once.
async fn pause_after(fault: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(fault.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(cause = %fault, "the connection could not be accepted");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Returns how many of `wanted` connections the limit of open files allows, after raising it to the hard limit.
///
/// The usual soft limit of 1,024 open files protects programs that use `select`, which this one does not. Any
/// process may raise it to the hard limit.
pub(crate) fn connections_within_limits(wanted: usize) -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(fault) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(cause = %fault, "the limit of open files could not be raised");
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).max(1);
    if room < wanted {
        tracing::info!(
            connections = room,
            "the limit of open files allows fewer connections than MAX_CONNECTIONS"
        );
    }
    wanted.min(room)
}

/// Completes when the process is told to stop, by Ctrl-C or SIGTERM.
pub(crate) async fn told_to_end() -> io::Result<()> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminated.recv() => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::extract::Extension;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::{Notify, oneshot};

    use super::*;

    fn limits(shutdown_timeout: Duration) -> Limits {
        Limits { client_timeout: Duration::from_secs(30), max_connections: 1, shutdown_timeout }
    }

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.rsplit("\r\n").next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_handler_learns_the_peer_of_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(|Extension(peer): Extension<PeerAddress>| async move { peer.0.to_string() }));
        tokio::spawn(serve(listener, router, std::future::pending(), limits(Duration::ZERO)));
        assert_eq!(ask(address, "/").await, "127.0.0.1");
    }

    #[tokio::test]
    async fn a_running_request_finishes_after_the_server_was_told_to_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (begun, resume) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (inner_begun, inner_resume) = (Arc::clone(&begun), Arc::clone(&resume));
        let slow = get(move || async move {
            inner_begun.notify_one();
            inner_resume.notified().await;
            "done"
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move { stopped.await.unwrap_or_default() };
        let limits = limits(Duration::from_secs(60));
        let server = tokio::spawn(serve(listener, Router::new().route("/", slow), stopped, limits));
        let asking = tokio::spawn(async move { ask(address, "/").await });
        begun.notified().await;
        stop.send(()).unwrap();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        resume.notify_one();
        assert_eq!(asking.await.unwrap(), "done");
        server.await.unwrap();
    }
}
