//! Large numbers of connections.

use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::Server;

/// Raises this process's limit of open files to its maximum.
fn raise_limit_of_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

fn connections() -> usize {
    std::env::var("HOSTILE_CONNECTIONS").map_or(500, |count| count.parse().unwrap())
}

/// Opens connections and sends the same bytes on each.
async fn crowd(server: &Server, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        streams.push(stream);
    }
    streams
}

async fn the_server_answers_despite(bytes: &[u8], kib_each: u64) {
    raise_limit_of_open_files();
    let server = Server::start(&[("MAX_CONNECTIONS", "16000"), ("CLIENT_TIMEOUT", "10m")]).await;
    server.get("/readyz").await;
    let before = server.resident_kib();
    let count = connections();
    let streams = crowd(&server, count, bytes).await;
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        let (status, took) = server.get(path).await;
        assert_eq!(status, 200);
        assert!(took < Duration::from_secs(5), "{path} took {took:?}");
    }
    assert!(server.open_files() >= count, "only {} of {count} connections are open", server.open_files());
    let grown = server.resident_kib().saturating_sub(before);
    println!("{count} connections of {} bytes: {grown} KiB", bytes.len());
    let bound = 16 * 1024 + kib_each * count as u64;
    assert!(grown < bound, "{count} connections took {grown} KiB, more than {bound}");
    drop(streams);
}

#[tokio::test]
async fn idle_connections_cost_little_and_block_no_client() {
    the_server_answers_despite(b"", 24).await;
}

#[tokio::test]
async fn heads_without_an_end_cost_no_more_than_their_limit() {
    let head = format!("GET /healthz HTTP/1.1\r\nHost: test\r\nX: {}", "a".repeat(30_000));
    the_server_answers_despite(head.as_bytes(), 80).await;
}

#[tokio::test]
async fn a_client_over_the_connection_limit_waits_until_idle_connections_are_closed() {
    let server = Server::start(&[("MAX_CONNECTIONS", "20"), ("CLIENT_TIMEOUT", "2s")]).await;
    let files = server.open_files();
    let streams = crowd(&server, 50, b"").await;
    assert!(server.open_files() <= files + 20, "{} files are open", server.open_files());
    let (status, took) = server.get("/healthz").await;
    assert_eq!(status, 200);
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(15), "{took:?}");
    drop(streams);
}

#[tokio::test]
async fn a_server_raises_its_limit_of_open_files() {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 64 && exec \"$0\"", env!("CARGO_BIN_EXE_switchyard")]);
    let server = Server::start_by(command, &[]).await;
    let streams = crowd(&server, 200, b"").await;
    assert_eq!(server.get("/readyz").await.0, 200);
    assert!(server.open_files() >= 200, "{} files are open", server.open_files());
    drop(streams);
}

#[tokio::test]
async fn a_server_with_a_low_file_limit_reserves_files_for_its_database() {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 160 && exec \"$0\"", env!("CARGO_BIN_EXE_switchyard")]);
    let server = Server::start_by(command, &[("CLIENT_TIMEOUT", "2s")]).await;
    let streams = crowd(&server, 200, b"").await;
    let (status, took) = server.get("/readyz").await;
    assert_eq!(status, 200, "{}", server.process.output());
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert!(!server.process.output().contains("the connection could not be accepted"));
    drop(streams);
}
