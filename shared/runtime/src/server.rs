//! Runs a router as an HTTP server.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use switchyard_api::PeerAddress;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

/// How long a connection may take to send the head of a request, and may stay idle between two: a client that sends a
/// byte now and then would hold it for ever otherwise.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers requests until `stop` is done; then takes no more, and waits for those that run, for `patience` at most.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    patience: Duration,
) {
    let connections = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => answer(stream, peer, router.clone(), &connections),
                Err(fault) => pause_after(&fault).await,
            },
            () = &mut stop => break,
        }
    }
    drop(listener);
    tracing::info!(connections = connections.count(), "stopping; running requests may finish");
    if tokio::time::timeout(patience, connections.shutdown()).await.is_err() {
        tracing::warn!("stopped before every request had finished");
    }
}

fn answer(stream: TcpStream, peer: SocketAddr, router: Router, connections: &GracefulShutdown) {
    // Answers are written whole; waiting for more to send with them only delays them. Not worth a failure.
    let _ = stream.set_nodelay(true);
    let service =
        service_fn(move |request: Request<Incoming>| router.clone().oneshot(with_peer(request, peer.ip())));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(fault) = connection.await {
            tracing::debug!(cause = %fault, "a connection broke off");
        }
    });
}

fn with_peer(request: Request<Incoming>, peer: IpAddr) -> Request<Body> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(PeerAddress(peer));
    request
}

/// A client that is gone already costs nothing. Other faults, such as too many open files, pass with time, and would
/// be asked for again at once.
async fn pause_after(fault: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(fault.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(cause = %fault, "no connection can be accepted");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Done when the process is told to end: Ctrl-C or SIGTERM.
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

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.rsplit("\r\n").next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_handler_learns_who_opened_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(|Extension(peer): Extension<PeerAddress>| async move { peer.0.to_string() }));
        tokio::spawn(serve(listener, router, std::future::pending(), Duration::ZERO));
        assert_eq!(ask(address, "/").await, "127.0.0.1");
    }

    #[tokio::test]
    async fn a_running_request_finishes_after_the_server_was_told_to_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (inner_begun, inner_go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        let slow = get(move || async move {
            inner_begun.notify_one();
            inner_go_on.notified().await;
            "done"
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move { stopped.await.unwrap_or_default() };
        let server =
            tokio::spawn(serve(listener, Router::new().route("/", slow), stopped, Duration::from_secs(60)));
        let asking = tokio::spawn(async move { ask(address, "/").await });
        begun.notified().await;
        stop.send(()).unwrap();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go_on.notify_one();
        assert_eq!(asking.await.unwrap(), "done");
        server.await.unwrap();
    }
}
