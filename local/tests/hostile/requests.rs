//! Malformed and unusual requests that no HTTP library sends.

use crate::Server;
use crate::wire::{Reply, request, send};

const JSON: &str = "Content-Type: application/json\r\n";
const REGISTER: &str = "/api/v1/auth/register";

#[tokio::test]
async fn malformed_http_is_refused_and_does_no_harm() {
    let server = Server::start(&[]).await;
    let long = "a".repeat(100_000);
    let heads = [
        (400, "G\0T /healthz HTTP/1.1\r\nHost: test\r\n\r\n".to_owned()),
        (400, "GET /health\0z HTTP/1.1\r\nHost: test\r\n\r\n".to_owned()),
        (400, "GET /health z HTTP/1.1\r\nHost: test\r\n\r\n".to_owned()),
        (400, "GET http://[::1 HTTP/1.1\r\nHost: test\r\n\r\n".to_owned()),
        (400, "GET /healthz HTTP/9.9\r\n\r\n".to_owned()),
        (400, "GET /healthz HTTP/1.1\r\nHost: test\r\nX Y: 1\r\n\r\n".to_owned()),
        (400, "GET /healthz HTTP/1.1\r\nHost: test\r\nX: a\0b\r\n\r\n".to_owned()),
        (400, "GET /healthz HTTP/1.1\r\nHost: test\r\nX-Request-Id: a\rSet-Cookie: b\r\n\r\n".to_owned()),
        (400, "GET /healthz HTTP/1.1\r\nHost: test\r\nX-Request-Id: a\r\n b\r\n\r\n".to_owned()),
        (400, "GET /healthz HTTP/1.1\r\nHost: test\r\nno colon\r\n\r\n".to_owned()),
        (400, "POST /healthz HTTP/1.1\r\nHost: test\r\nContent-Length: -1\r\n\r\n".to_owned()),
        (400, "POST /healthz HTTP/1.1\r\nHost: test\r\nContent-Length: 5, 6\r\n\r\nhello!".to_owned()),
        (
            400,
            "POST /healthz HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"
                .to_owned(),
        ),
        (
            400,
            "POST /healthz HTTP/1.1\r\nHost: test\r\nContent-Length: 18446744073709551616\r\n\r\n".to_owned(),
        ),
        (
            400,
            "POST /healthz HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked, identity\r\n\r\n".to_owned(),
        ),
        (400, "POST /healthz HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: xchunked\r\n\r\n".to_owned()),
        (431, format!("GET /{long} HTTP/1.1\r\nHost: test\r\n\r\n")),
        (431, format!("GET /healthz HTTP/1.1\r\nHost: test\r\nX: {long}\r\n\r\n")),
        (431, format!("GET /healthz HTTP/1.1\r\nHost: test\r\n{}\r\n", "X: a\r\n".repeat(500))),
        (400, "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03".to_owned()), // TLS
    ];
    for (expected, head) in heads {
        let reply = send(server.address(), head.as_bytes()).await;
        assert_eq!(reply.status, expected, "{:?} {reply:?}", &head[..head.len().min(100)]);
        assert_eq!(server.get("/healthz").await.0, 200);
    }
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let server = Server::start(&[]).await;
    let ask = async |head: &str| {
        let head = format!("GET /healthz {head}Connection: close\r\n\r\n");
        let reply = send(server.address(), head.as_bytes()).await;
        let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        (reply.status, body["error"]["details"]["Host"].as_str().unwrap_or_default().to_owned())
    };
    for head in [
        "HTTP/1.1\r\nHost: api.example.com\r\n",
        "HTTP/1.1\r\nHost: [::1]:3000\r\n",
        "HTTP/1.1\r\nHost:\r\n",
        "HTTP/1.0\r\n",
    ] {
        assert_eq!(ask(head).await, (200, String::new()), "{head:?}");
    }
    let fault = "must be a host, as in api.example.com or api.example.com:8443";
    for (head, fault) in [
        ("HTTP/1.1\r\n", "is required"),
        ("HTTP/1.1\r\nHost: a\r\nHost: a\r\n", "must be given once"),
        ("HTTP/1.1\r\nHost: a/b\r\n", fault),
        ("HTTP/1.1\r\nHost: me@a\r\n", fault),
        ("HTTP/1.0\r\nHost: a b\r\n", fault),
    ] {
        assert_eq!(ask(head).await, (400, fault.to_owned()), "{head:?}");
    }
}

/// Sends a body as JSON to an operation that reads one.
async fn post(server: &Server, body: &[u8]) -> Reply {
    send(server.address(), &request("POST", REGISTER, JSON, body)).await
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_however_it_is_sent() {
    let server = Server::start(&[]).await;
    let limit = 16 * 1024;
    let text = |length: usize| format!("\"{}\"", "a".repeat(length - 2)).into_bytes();
    assert_eq!(
        post(&server, &text(limit)).await.code(),
        "VALIDATION_ERROR",
        "a body of exactly the limit is read"
    );
    let over = post(&server, &text(limit + 1)).await;
    assert_eq!((over.status, over.code().as_str()), (413, "PAYLOAD_TOO_LARGE"));

    let chunked = format!("{JSON}Transfer-Encoding: chunked\r\n");
    let chunk = [b"10000\r\n", "a".repeat(0x10000).as_bytes(), b"\r\n"].concat();
    let over = send(server.address(), &request("POST", REGISTER, &chunked, &chunk.repeat(2))).await;
    assert_eq!((over.status, over.code().as_str()), (413, "PAYLOAD_TOO_LARGE"));

    // The body is refused before it is sent, and without a `100 Continue`.
    for expect in ["", "Expect: 100-continue\r\n"] {
        let announced = format!("{JSON}{expect}Content-Length: 10000000000\r\n");
        let mut bytes = request("POST", REGISTER, &announced, b"");
        bytes.extend(b"{");
        let over = send(server.address(), &bytes).await;
        assert_eq!((over.status, over.code().as_str()), (413, "PAYLOAD_TOO_LARGE"), "{over:?}");
    }

    let broken = format!("{JSON}Transfer-Encoding: chunked\r\n");
    for chunks in ["fffffffffffffffff\r\n", "x\r\n", "-1\r\n"] {
        let reply = send(server.address(), &request("POST", REGISTER, &broken, chunks.as_bytes())).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "VALIDATION_ERROR"), "{chunks:?} {reply:?}");
    }
    assert!(server.resident_kib() < 200 * 1024, "{} KiB", server.resident_kib());
}

#[tokio::test]
async fn json_that_only_a_lenient_parser_accepts_is_refused() {
    let server = Server::start(&[]).await;
    let account = |name: &str| {
        format!(
            "{{\"email\":\"a@example.com\",\"password\":\"a-passphrase-of-the-tests-31\",\"name\":{name}}}"
        )
        .into_bytes()
    };
    let deep = |open: &str| open.repeat(16 * 1024 / open.len() - 2).into_bytes();
    let bodies: [(&str, Vec<u8>); 13] = [
        ("a lone high surrogate", account(r#""\ud800""#)),
        ("a lone low surrogate", account(r#""\udc00""#)),
        ("surrogates in the wrong order", account(r#""\udc00\ud800""#)),
        (
            "a surrogate in UTF-8",
            account("\"\"")
                .iter()
                .flat_map(|&b| if b == b'}' { vec![0xed, 0xa0, 0x80] } else { vec![b] })
                .collect(),
        ),
        ("overlong UTF-8", [&account("\"")[..], b"\xc0\xaf\"}"].concat()),
        ("U+0000, escaped", account(r#""a\u0000b""#)),
        ("U+0000, raw", account("\"a\0b\"")),
        ("a line break, raw", account("\"a\nb\"")),
        ("a duplicate name", account(r#""a","name":"b""#)),
        ("a number out of the range of a float", account("1e999")),
        ("arrays, deep", deep("[")),
        ("objects, deep", deep("{\"a\":")),
        ("data after the end", [&account("\"a\"")[..], b"{}"].concat()),
    ];
    for (what, body) in bodies {
        let reply = post(&server, &body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "VALIDATION_ERROR"), "{what}: {reply:?}");
    }
    assert_eq!(
        post(&server, &account("\"\\ud83d\\ude80\"")).await.status,
        201,
        "a surrogate pair is a character"
    );
}

#[tokio::test]
async fn only_a_request_id_of_visible_ascii_is_repeated_in_the_answer() {
    let server = Server::start(&[]).await;
    let ask = async |value: &[u8]| {
        let bytes = [
            b"GET /nowhere HTTP/1.1\r\nHost: test\r\nConnection: close\r\nX-Request-Id: ",
            value,
            b"\r\n\r\n",
        ];
        send(server.address(), &bytes.concat()).await
    };
    let plain = ask(b"req-7/<>\"%0d%0aSet-Cookie:x").await;
    assert_eq!(
        plain.header("x-request-id"),
        ["req-7/<>\"%0d%0aset-cookie:x"],
        "visible ASCII is returned unchanged"
    );
    let long = "a".repeat(129);
    let values: [&[u8]; 7] =
        [b"", b"a b", b"\xff\xfe", b"\xe5\x98\x8a\xe5\x98\x8d", b"a\tb", b"a\x80", long.as_bytes()];
    for value in values {
        let reply = ask(value).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "NOT_FOUND"));
        let [id] = reply.header("x-request-id")[..] else { panic!("{reply:?}") };
        assert_eq!(id.len(), 36, "{value:?} is replaced by a generated id");
        assert!(reply.body.contains(id), "{reply:?}");
    }
    // A bare line feed ends a header line. The rest is parsed as another request header, and is not part of the
    // answer.
    let reply = ask(b"a\nX-Other: b").await;
    assert_eq!(reply.header("x-request-id"), ["a"]);
    assert_eq!(reply.header("x-other"), Vec::<&str>::new());
}

#[tokio::test]
async fn a_path_means_what_it_says_however_it_is_encoded() {
    let server = Server::start(&[]).await;
    let get = async |path: &str| send(server.address(), &request("GET", path, "", b"")).await;
    let nowhere = [
        "/api/v1/%2e%2e/%2e%2e/healthz",
        "/api/v1/../../healthz",
        "/../../../etc/passwd",
        "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "//healthz",
        "/healthz/",
        "/healthz%2f",
        "/healthz%00",
        "/%68ealthz%0a",
        "/docs/%2e%2e%2fhealthz",
        "/docs/..%5c..%5cCargo.toml",
        "/api/v1/auth/me%3b",
        "/API/V1/AUTH/ME",
        "/%c0%ae%c0%ae/healthz",
        "/api/v1/users/a%2fb",
        "/api/v1/roles/a%2fb",
        "/api/v1/auth/m%2565",
        "/\u{fc}",
    ];
    for path in nowhere {
        let reply = get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "NOT_FOUND"), "{path} {reply:?}");
    }
    // Equivalent paths (RFC 3986 §6.2.2) are the same.
    for path in ["/%68ealthz", "/%68%65%61%6c%74%68%7A"] {
        assert_eq!(get(path).await.status, 200, "{path}");
    }
    for path in ["/api/v1/auth/m%65", "/%61pi/v1/auth/me", "/api%2Fv1/auth/me"] {
        assert_eq!(get(path).await.code(), "UNAUTHENTICATED", "{path}");
    }
    // Without a token the answer reveals nothing about the parameter.
    for path in ["%00", "%c0%af", "%2e%2e", "%ff", "..", "%", "%zz", "a'--"] {
        for resource in ["users", "roles"] {
            let reply = get(&format!("/api/v1/{resource}/{path}")).await;
            assert_eq!((reply.status, reply.code().as_str()), (401, "UNAUTHENTICATED"), "{path} {reply:?}");
        }
    }
}
