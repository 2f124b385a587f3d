//! An HTTP client with minimal overhead: it sends prepared bytes over persistent connections.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A persistent connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer as it was received.
#[derive(Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) head: &'a str,
    pub(crate) body: &'a [u8],
}

/// Returns the value of a header.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (named, value) = line.split_once(':')?;
        named.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl Connection {
    /// Connects to a server.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads the whole answer. The connection cannot be used after an error.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let end = loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
            if let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
        };
        let head = std::str::from_utf8(&self.buffer[..end])?;
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .context("the answer has no HTTP/1.1 status line")?;
        let status: u16 = status.parse()?;
        let length = match header(head, "content-length") {
            Some(length) => length.parse()?,
            None => {
                ensure!(status == 204, "the answer has no length: {head}");
                0
            }
        };
        while self.buffer.len() < end + 4 + length {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the answer was cut short");
        }
        let (head, rest) = self.buffer.split_at(end);
        Ok(Answer { status, head: std::str::from_utf8(head)?, body: &rest[4..4 + length] })
    }
}
