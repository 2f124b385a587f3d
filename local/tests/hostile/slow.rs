//! Slow clients. The servers in these tests have a client time-out of one second and a request time-out of two.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{sleep, timeout};

use crate::Server;
use crate::wire::{read_to_end, request};

const SETTINGS: [(&str, &str); 2] = [("CLIENT_TIMEOUT", "1s"), ("REQUEST_TIMEOUT", "2s")];
const CLIENT_TIMEOUT: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// The additional time allowed on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

/// Sends the bytes one by one until sending fails or all are sent.
async fn trickle(to: &mut OwnedWriteHalf, bytes: &[u8]) {
    for byte in bytes {
        if to.write_all(&[*byte]).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Sends `at_once`, then `slowly` byte by byte. Returns what arrived until the connection was closed, and how long
/// that took.
async fn send_slowly(server: &Server, at_once: &[u8], slowly: Vec<u8>) -> (String, Duration) {
    let (mut from, mut to) = TcpStream::connect(server.address()).await.unwrap().into_split();
    to.write_all(at_once).await.unwrap();
    let asked = Instant::now();
    let sending = tokio::spawn(async move {
        trickle(&mut to, &slowly).await;
        std::future::pending::<()>().await; // without closing the connection
    });
    let mut answer = Vec::new();
    let closed = timeout(Duration::from_secs(20), from.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "the connection is still open");
    sending.abort();
    (String::from_utf8_lossy(&answer).into_owned(), asked.elapsed())
}

#[tokio::test]
async fn a_client_that_is_silent_or_slow_with_the_head_loses_its_connection() {
    let server = Server::start(&SETTINGS).await;
    let head = request("GET", "/healthz", &"X: a\r\n".repeat(100), b"");
    for bytes in [0, 10, head.len()] {
        let (answer, took) = send_slowly(&server, b"", head[..bytes].to_vec()).await;
        assert!(took >= CLIENT_TIMEOUT && took < CLIENT_TIMEOUT + SLACK, "{took:?} after {bytes} bytes");
        assert_eq!(answer, "");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_a_time_of_its_own() {
    const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(4);
    let settings = [SETTINGS[0], SETTINGS[1], ("KEEP_ALIVE_TIMEOUT", "4s")];
    let server = Server::start(&settings).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";
    stream.write_all(request).await.unwrap();
    sleep(CLIENT_TIMEOUT * 2).await;
    stream.write_all(request).await.unwrap();
    let asked = Instant::now();
    let reply = read_to_end(&mut stream).await;
    let took = asked.elapsed();
    assert_eq!(reply.body.matches("HTTP/1.1 200 OK").count(), 1, "both requests are answered: {reply:?}");
    assert!(took >= KEEP_ALIVE_TIMEOUT && took < KEEP_ALIVE_TIMEOUT + SLACK, "{took:?}");

    // Once a byte of the next request has come, its head must follow in time.
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(request).await.unwrap();
    sleep(CLIENT_TIMEOUT / 2).await;
    stream.write_all(b"GET").await.unwrap();
    let asked = Instant::now();
    read_to_end(&mut stream).await;
    assert!(asked.elapsed() < KEEP_ALIVE_TIMEOUT, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_body_that_trickles_in_is_aborted_by_the_request_timeout() {
    let server = Server::start(&SETTINGS).await;
    let files = server.open_files();
    let head = request(
        "POST",
        "/api/v1/auth/login",
        "Content-Type: application/json\r\nContent-Length: 999\r\n",
        b"",
    );
    let (answer, took) = send_slowly(&server, &head, vec![b' '; 999]).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("UNAVAILABLE"), "{answer}");
    assert!(took >= REQUEST_TIMEOUT && took < REQUEST_TIMEOUT + SLACK, "{took:?}");
    server.wait_until_open_files(files).await;
}

/// A request whose body is not read is answered at once, and a body that never ends does not keep the connection open.
#[tokio::test]
async fn a_body_that_is_not_read_is_not_waited_for() {
    let server = Server::start(&SETTINGS).await;
    let files = server.open_files();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = request("GET", "/healthz", "Content-Length: 1000\r\n", b"");
    stream.write_all(&head).await.unwrap();
    let asked = Instant::now();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    assert!(asked.elapsed() < SLACK, "{:?}", asked.elapsed());
    let (_, mut to) = stream.into_split();
    let sending = tokio::spawn(async move { trickle(&mut to, &[b' '; 1000]).await });
    server.wait_until_open_files(files).await;
    sending.abort();
}

#[tokio::test]
async fn a_client_that_never_reads_loses_its_connection() {
    let server = Server::start(&SETTINGS).await;
    let files = server.open_files();
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        // An answer has 0.4 MB, so 200 answers exceed what the socket buffers hold.
        let requests = b"GET /openapi.json HTTP/1.1\r\nHost: test\r\n\r\n".repeat(200);
        // The server stops reading when it cannot write.
        let _ = timeout(Duration::from_secs(1), stream.write_all(&requests)).await;
        streams.push(stream);
    }
    assert_eq!(server.get("/healthz").await.0, 200);
    server.wait_until_open_files(files).await;
    assert!(server.resident_kib() < 200 * 1024, "{} KiB", server.resident_kib());
    drop(streams);
}
