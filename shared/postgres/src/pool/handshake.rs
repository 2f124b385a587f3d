//! The number of the server process that the server announced when the connection was opened.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio_postgres::Client;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// The length of a request to cancel: its own length, a code, the number of the process, and a secret.
const LENGTH: usize = 16;

/// Returns the number of the process that the server announced, or 0 if it announced none.
///
/// A proxy that pools connections announces a number of its own, because it uses several processes. tokio-postgres
/// keeps the number for requests to cancel and shows it nowhere else, so this writes such a request to a pipe.
pub(super) async fn announced_process(client: &Client) -> i32 {
    read_from_request(client).await.unwrap_or_default()
}

async fn read_from_request(client: &Client) -> Option<i32> {
    let (ours, mut theirs) = tokio::io::duplex(256);
    // The answer to a request for TLS. If there is no such request, nobody reads it.
    theirs.write_all(b"S").await.ok()?;
    client.cancel_token().cancel_query_raw(ours, NoEncryption).await.ok()?;
    let mut sent = Vec::new();
    theirs.read_to_end(&mut sent).await.ok()?;
    let request = sent.len().checked_sub(LENGTH).and_then(|start| sent.get(start..))?;
    Some(i32::from_be_bytes(request.get(8..12)?.try_into().ok()?))
}

/// Uses the pipe as it is where the client would use TLS.
struct NoEncryption;

impl TlsConnect<DuplexStream> for NoEncryption {
    type Stream = Pipe;
    type Error = io::Error;
    type Future = Ready<io::Result<Pipe>>;

    fn connect(self, stream: DuplexStream) -> Self::Future {
        ready(Ok(Pipe(stream)))
    }
}

struct Pipe(DuplexStream);

impl TlsStream for Pipe {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
