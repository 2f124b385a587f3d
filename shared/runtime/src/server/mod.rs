//! Runs a router as an HTTP server.

mod body;
mod client;
mod conversation;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper_util::server::graceful::GracefulShutdown;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::BasePath;

pub use client::Stopping;

use client::Client;
use stream::Patience;

/// The number of files that a program opens besides its clients' connections, mostly for the database.
const OTHER_FILES: u64 = 128;

/// The limits of clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The time that a client may take to send the head of a request, and to read no byte of an answer. Without it, a
    /// silent client would hold its connection forever.
    pub(crate) client_timeout: Duration,
    /// The time that a connection may stay idle between two requests.
    pub(crate) keep_alive_timeout: Duration,
    /// How many connections are open at once. Further clients wait until one of them closes.
    pub(crate) max_connections: usize,
    /// How long the server still accepts clients when it is told to stop.
    pub(crate) shutdown_delay: Duration,
    /// How long running requests may continue after that.
    pub(crate) shutdown_timeout: Duration,
}

/// Answers requests until `stop` completes. Then accepts no more, and waits for those that are running.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    base_path: BasePath,
    stop: impl Future<Output = ()>,
    limits: Limits,
) {
    let connections = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let stopping = Arc::new(AtomicBool::new(false));
    let patience = Patience { client: limits.client_timeout, idle: limits.keep_alive_timeout };
    let stop = async {
        stop.await;
        stopping.store(true, Ordering::Relaxed);
        if !limits.shutdown_delay.is_zero() {
            tracing::info!(
                "stopping; no longer ready, and accepting clients for {:?}",
                limits.shutdown_delay
            );
        }
        tokio::time::sleep(limits.shutdown_delay).await;
    };
    tokio::pin!(stop);
    let client_at = |address| Client {
        router: router.clone(),
        base_path: base_path.clone(),
        address,
        stopping: Arc::clone(&stopping),
    };
    loop {
        tokio::select! {
            (accepted, permit) = accept(&listener, &permits) => match accepted {
                Ok((tcp, peer)) => client_at(peer.ip()).serve(tcp, patience, &connections, permit),
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
    use switchyard_api::PeerAddress;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::{Notify, oneshot};

    use super::*;

    fn limits(shutdown_timeout: Duration) -> Limits {
        Limits {
            client_timeout: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(75),
            max_connections: 1,
            shutdown_delay: Duration::ZERO,
            shutdown_timeout,
        }
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
        tokio::spawn(serve(
            listener,
            router,
            BasePath::default(),
            std::future::pending(),
            limits(Duration::ZERO),
        ));
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
        let server = tokio::spawn(serve(
            listener,
            Router::new().route("/", slow),
            BasePath::default(),
            stopped,
            limits,
        ));
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

    /// A server with one slow handler: told to stop with `stop`, and completed when it has stopped.
    struct Slow {
        address: SocketAddr,
        begun: Arc<Notify>,
        resume: Arc<Notify>,
        finished: Arc<AtomicBool>,
        stop: oneshot::Sender<()>,
        server: tokio::task::JoinHandle<()>,
    }

    impl Slow {
        async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (begun, resume) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let finished = Arc::new(AtomicBool::new(false));
            let (inner_begun, inner_resume, inner_finished) =
                (Arc::clone(&begun), Arc::clone(&resume), Arc::clone(&finished));
            let slow = get(move || async move {
                inner_begun.notify_one();
                inner_resume.notified().await;
                inner_finished.store(true, Ordering::Relaxed);
                "done"
            });
            let (stop, stopped) = oneshot::channel::<()>();
            let stopped = async move { stopped.await.unwrap_or_default() };
            let limits = limits(Duration::from_secs(60));
            let router = Router::new().route("/", slow);
            let server = tokio::spawn(serve(listener, router, BasePath::default(), stopped, limits));
            Self { address, begun, resume, finished, stop, server }
        }
    }

    #[tokio::test]
    async fn a_client_that_has_closed_its_side_gets_the_answer() {
        let slow = Slow::start().await;
        let mut stream = TcpStream::connect(slow.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
        slow.begun.notified().await;
        slow.resume.notify_one();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("done"), "{answer}");
    }

    #[tokio::test]
    async fn what_a_client_began_that_has_gone_is_waited_for() {
        let slow = Slow::start().await;
        let mut stream = TcpStream::connect(slow.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
        slow.begun.notified().await;
        drop(stream);
        slow.stop.send(()).unwrap();
        while TcpStream::connect(slow.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(!slow.server.is_finished());
        slow.resume.notify_one();
        slow.server.await.unwrap();
        assert!(slow.finished.load(Ordering::Relaxed));
    }
}
