//! Answers that come before the body has been sent. A connection that is closed too early resets, and the client loses the
//! answer.

use std::process::Command;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Server;
use crate::wire::{Reply, read_to_end, request};

const BODY: usize = 3 * 1024 * 1024;
const JSON: &str = "Content-Type: application/json\r\n";

/// Sends a request with a large body, and reads nothing before all of it is sent, as simple clients do.
async fn send_whole(
    server: &Server,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(server.address()).await?;
    stream.write_all(&request(method, path, headers, body)).await?;
    Ok(read_to_end(&mut stream).await)
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_sends_its_whole_body_first() {
    let server = Server::start(&[]).await;
    let body = vec![b' '; BODY];
    let chunked: Vec<u8> = [&b"100000\r\n"[..], &vec![b' '; 0x10_0000], b"\r\n"].concat().repeat(3);
    let chunked = [&chunked[..], b"0\r\n\r\n"].concat();
    let json_chunked = format!("{JSON}Transfer-Encoding: chunked\r\n");
    let compressed = format!("{JSON}Content-Encoding: gzip\r\n");
    for (status, method, path, headers, body) in [
        (413, "POST", "/api/v1/auth/login", JSON, &body),
        (413, "POST", "/api/v1/auth/login", &json_chunked, &chunked),
        (415, "POST", "/api/v1/auth/login", &compressed, &body),
        (401, "POST", "/api/v1/users", JSON, &body),
        (401, "PATCH", "/api/v1/auth/me", &json_chunked, &chunked),
        (404, "POST", "/api/v1/nothing", JSON, &body),
        (405, "PUT", "/api/v1/auth/login", JSON, &body),
        (200, "GET", "/healthz", JSON, &body),
    ] {
        for round in 0..10 {
            let reply = send_whole(&server, method, path, headers, body).await;
            let reply =
                reply.unwrap_or_else(|fault| panic!("{status} {method} {path}, round {round}: {fault}"));
            assert_eq!(reply.status, status, "{method} {path}, round {round}: {reply:?}");
            assert_eq!(reply.header("connection"), ["close"], "{reply:?}");
        }
    }
}

#[tokio::test]
async fn a_refused_guess_is_answered_although_its_body_was_not_read() {
    let server = Server::start(&[("RATE_LIMIT", "1/15m")]).await;
    let body = vec![b' '; BODY];
    let statuses = [413, 429, 429, 429];
    for status in statuses {
        let reply = send_whole(&server, "POST", "/api/v1/auth/login", JSON, &body).await.unwrap();
        assert_eq!(reply.status, status, "{reply:?}");
    }
}

#[tokio::test]
async fn malformed_heads_are_answered_although_more_comes() {
    let server = Server::start(&[]).await;
    let head = format!("GET /healthz HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n", "a".repeat(BODY));
    for _ in 0..10 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(read_to_end(&mut stream).await.status, 431);
    }
}

#[tokio::test]
async fn a_connection_survives_an_early_answer_to_a_short_body() {
    let server = Server::start(&[]).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let body = vec![b' '; 50 * 1024];
    for _ in 0..3 {
        let head = format!(
            "POST /api/v1/users HTTP/1.1\r\nHost: test\r\n{JSON}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 401");
        // The rest of the answer.
        while !answer.ends_with(b"}}") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        assert!(!answer.contains("connection: close"), "{answer}");
        stream.write_all(&body).await.unwrap();
    }
    stream.write_all(&request("GET", "/healthz", "", b"")).await.unwrap();
    assert_eq!(read_to_end(&mut stream).await.status, 200);
}

#[tokio::test]
async fn a_client_that_waits_for_a_continue_gets_the_answer_instead() {
    let server = Server::start(&[]).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST /api/v1/users HTTP/1.1\r\nHost: test\r\n{JSON}Expect: 100-continue\r\nContent-Length: 100\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = read_to_end(&mut stream).await;
    assert_eq!((reply.status, reply.header("connection")), (401, vec!["close"]), "{reply:?}");
}

#[tokio::test]
async fn the_fetch_of_node_gets_every_early_answer() {
    const TRIES: usize = 40;
    const SCRIPT: &str = "
        const [url, tries] = process.argv.slice(1);
        const body = ' '.repeat(3 * 1024 * 1024);
        const outcomes = {};
        for (let n = 0; n < Number(tries); n++) {
            const sent = fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
            const outcome = await sent.then(answer => answer.status, fault => String(fault.cause?.code ?? fault));
            outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        }
        console.log(JSON.stringify(outcomes));
    ";
    let server = Server::start(&[]).await;
    let url = format!("{}/api/v1/auth/login", server.process.base_url);
    let mut node = Command::new(switchyard_harness::required("TEST_NODE"));
    node.args(["--input-type=module", "--eval", SCRIPT, "--", &url, &TRIES.to_string()]);
    let output = tokio::task::spawn_blocking(move || node.output()).await.unwrap().unwrap();
    let outcomes = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        outcomes.trim(),
        format!("{{\"413\":{TRIES}}}"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
