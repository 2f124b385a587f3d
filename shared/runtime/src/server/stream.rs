use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::conversation::{Awaited, Conversation};

/// A connection whose client is still sending is not closed before it falls silent for this long, or has sent this much more.
const QUIET: Duration = Duration::from_secs(2);
const MAX_DISCARDED_BYTES: usize = 64 * 1024 * 1024;

/// How long a client may keep a connection waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the head of a request, for a client that accepts no data, and for the end of one that is being closed.
    pub(super) client: Duration,
    /// For the next request.
    pub(super) idle: Duration,
}

/// A client's connection, with a limit on each time that the client can make it wait.
pub(super) struct Stream {
    tcp: TcpStream,
    conversation: Arc<Conversation>,
    patience: Patience,
    /// Runs while the client sends nothing, and for what is awaited.
    silence: Timer<Awaited>,
    /// Runs while the client accepts no data.
    refusal: Timer<()>,
    /// Since when nothing more is written, and how much of what still came was discarded.
    closing: Option<Closing>,
}

struct Closing {
    until: Timer<()>,
    quiet: Timer<()>,
    discarded: usize,
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, conversation: Arc<Conversation>, patience: Patience) -> Self {
        // Answers are written as a whole, so waiting for more data only delays them. A failure does not matter.
        let _ = tcp.set_nodelay(true);
        Self {
            tcp,
            conversation,
            patience,
            silence: Timer::default(),
            refusal: Timer::default(),
            closing: None,
        }
    }

    /// Fails when the client has been silent for too long. The time for a head begins with its first byte, or with the
    /// connection; how long a body may take is limited by the time of its request.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let awaited = self.conversation.awaited();
        let patience = match awaited {
            Awaited::Request => self.patience.idle,
            Awaited::Head => self.patience.client,
            Awaited::Body | Awaited::UnwantedBody => {
                self.silence.stop();
                return Poll::Pending;
            }
        };
        self.silence.poll(awaited, patience, context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_writing<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let written = write(Pin::new(&mut self.tcp), context);
        if written.is_ready() {
            self.refusal.stop();
            return written;
        }
        let refused = self.refusal.poll((), self.patience.client, context);
        refused.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads and discards what the client still sends, until it closes its side too. This is the lingering close of nginx
    /// and Apache: see [`RequestBody`](super::body::RequestBody) for what it prevents.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(closing) = &mut self.closing else { return Poll::Ready(()) };
        let mut bytes = [0; 8 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.tcp).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    closing.quiet.stop();
                    closing.discarded += buffer.filled().len();
                    if closing.discarded > MAX_DISCARDED_BYTES {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()), // closed or reset
                Poll::Pending => break,
            }
        }
        if closing.quiet.poll((), QUIET, context).is_ready() {
            return Poll::Ready(());
        }
        closing.until.poll((), self.patience.client, context)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(context, buffer);
        if read.is_pending() {
            return self.poll_silence(context);
        }
        if buffer.filled().len() > before && self.conversation.awaited() == Awaited::Request {
            self.silence.stop();
            self.conversation.set(Awaited::Head);
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_writing(context, |tcp, context| tcp.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_writing(context, |tcp, context| tcp.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_writing(context, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(self.poll_writing(context, AsyncWrite::poll_shutdown))?;
            if self.conversation.awaited() == Awaited::Request {
                return Poll::Ready(Ok(()));
            }
            self.closing = Some(Closing { until: Timer::default(), quiet: Timer::default(), discarded: 0 });
        }
        self.poll_linger(context).map(Ok)
    }
}

/// A timer for one of several purposes. It is started by the first poll for a purpose, and keeps its memory when it stops.
struct Timer<T> {
    purpose: Option<T>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<T> Default for Timer<T> {
    fn default() -> Self {
        Self { purpose: None, sleep: None }
    }
}

impl<T: Copy + PartialEq> Timer<T> {
    fn stop(&mut self) {
        self.purpose = None;
    }

    /// Completes when the timer has been polled for this purpose, and for no other, for `time`.
    fn poll(&mut self, purpose: T, time: Duration, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(time)));
        if self.purpose != Some(purpose) {
            self.purpose = Some(purpose);
            sleep.as_mut().reset(Instant::now() + time);
        }
        sleep.as_mut().poll(context)
    }
}
