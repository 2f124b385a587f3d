//! A TCP proxy to the server that can be made to fail.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::server_url;

/// What happens to the message for which a trap is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server does not receive the message.
    Before,
    /// The server receives the message, and the connection is cut before the reply.
    After,
    /// The server receives the message and replies, and the reply is lost.
    Reply,
}

/// A TCP proxy in front of the server.
#[derive(Clone)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// The URL of the server itself.
    server: String,
    /// Whether new connections are forwarded. If not, they wait.
    is_open: watch::Sender<bool>,
    trap: Mutex<Option<(Vec<u8>, Cut)>>,
    /// Whether answers of the server are read.
    is_reading: watch::Sender<bool>,
    /// Incremented to cut all connections.
    cuts: watch::Sender<u32>,
    /// The number of messages from clients that were forwarded in one piece. For a client that waits for its
    /// answers, this is the number of round trips.
    sent: Mutex<u32>,
}

impl Proxy {
    pub async fn start() -> Self {
        Self::before(server_url()).await
    }

    /// Starts a proxy in front of another server.
    pub async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let shared = Arc::new(Shared {
            server,
            is_open: watch::Sender::new(true),
            trap: Mutex::default(),
            is_reading: watch::Sender::new(true),
            cuts: watch::Sender::new(0),
            sent: Mutex::default(),
        });
        let proxy = Self { address: listener.local_addr().expect("the listener is bound"), shared };
        let shared = proxy.shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, shared.clone()));
            }
        });
        proxy
    }

    /// Returns the URL of the server through the proxy.
    pub fn url(&self) -> String {
        let (front, rest) = self.shared.server.split_once('@').expect("the URL names a user");
        let (_, database) = rest.split_once('/').expect("the URL names a database");
        format!("{front}@{}/{database}", self.address)
    }

    /// Cuts, once, the connection that sends a message containing `text`.
    pub fn set_trap(&self, text: &str, cut: Cut) {
        *locked(&self.shared.trap) = Some((text.as_bytes().to_vec(), cut));
    }

    /// Whether the trap was triggered.
    pub fn has_struck(&self) -> bool {
        locked(&self.shared.trap).is_none()
    }

    /// Sets whether new connections are forwarded or wait.
    pub fn set_open(&self, is_open: bool) {
        self.shared.is_open.send_replace(is_open);
    }

    /// Reads no further answers of the server, like a client that is frozen.
    pub fn stop_reading(&self) {
        self.shared.is_reading.send_replace(false);
    }

    /// Cuts all connections.
    pub fn cut_all(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Returns how many messages were sent since the last call.
    pub fn take_sent(&self) -> u32 {
        std::mem::take(&mut *locked(&self.shared.sent))
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().expect("no thread panics while it holds the lock")
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let url: tokio_postgres::Config = shared.server.parse().expect("the URL is valid");
    let tokio_postgres::config::Host::Tcp(host) = &url.get_hosts()[0] else {
        panic!("the server for the tests must use TCP: {url:?}");
    };
    shared.is_open.subscribe().wait_for(|is_open| *is_open).await.expect("the sender exists");
    let Ok(server) = TcpStream::connect((host.as_str(), url.get_ports()[0])).await else { return };
    client.set_nodelay(true).expect("the socket is open");
    server.set_nodelay(true).expect("the socket is open");
    let mut cuts = shared.cuts.subscribe();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (drop_replies, replies_dropped) = watch::channel(false);
    let is_reading = shared.is_reading.subscribe();
    // When one direction ends, the other one ends too, and all sockets are closed.
    tokio::select! {
        () = forward_requests(from_client, to_server, shared, drop_replies) => {}
        () = forward_replies(from_server, to_client, replies_dropped, is_reading) => {}
        _ = cuts.changed() => {}
    }
}

async fn forward_requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: Arc<Shared>,
    drop_replies: watch::Sender<bool>,
) {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let message = &buffer[..count];
        let cut = {
            let mut trap = locked(&shared.trap);
            let is_met =
                trap.as_ref().is_some_and(|(text, _)| message.windows(text.len()).any(|w| w == text));
            if is_met { trap.take().map(|(_, cut)| cut) } else { None }
        };
        if cut == Some(Cut::Before) {
            return;
        }
        if cut == Some(Cut::Reply) {
            drop_replies.send_replace(true);
        }
        *locked(&shared.sent) += 1;
        if to.write_all(message).await.is_err() || cut == Some(Cut::After) {
            return;
        }
    }
}

async fn forward_replies(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    dropped: watch::Receiver<bool>,
    mut is_reading: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        is_reading.wait_for(|is_reading| *is_reading).await.expect("the sender exists");
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        // The server has applied the request once it answers.
        if *dropped.borrow() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
