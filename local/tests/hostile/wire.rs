//! HTTP as bytes.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than any time-out of the servers here.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back until the connection was closed.
#[derive(Debug)]
pub(crate) struct Reply {
    /// 0 where there was no answer.
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Self { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// The values of a header.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(own, _)| *own == name).map(|(_, value)| value).collect()
    }

    /// The code of an error; empty where there is none.
    pub(crate) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Reads until the server closes the connection.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    // A connection that is reset was closed too; what came before counts.
    let _ =
        timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server closes the connection");
    Reply::read(&bytes)
}

/// Sends bytes, and reads until the server closes the connection.
pub(crate) async fn send(address: &str, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have heard enough before the end.
    let _ = timeout(PATIENCE, stream.write_all(bytes))
        .await
        .expect("the server takes it or closes the connection");
    read_to_end(&mut stream).await
}

/// A request after which the connection is closed. The length of a body is told, unless it comes in chunks.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}").into_bytes();
    if !headers.to_lowercase().contains("transfer-encoding") && !body.is_empty() {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}
