use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::conversation::{Awaited, Conversation};

/// What is left of a body that no handler has read is read and dropped if it has at most this many bytes, and comes within
/// this time. Then the connection can carry the next request. Otherwise it is closed.
const DROPPED_BYTES: u64 = 64 * 1024;
const DROPPED_WITHIN: Duration = Duration::from_secs(1);

/// The body of a request. It tells the connection's stream how far the client has sent it.
///
/// An answer can come before the body has been read: a 401, a 404, a 413, a 415, a 429. If the connection was closed then,
/// the bytes on their way would be answered with a reset, and a reset makes the client's system discard the answer that has
/// already arrived. So a short rest is read and dropped when the handler drops the body, and for a longer one the stream is
/// closed in a way that the client can still read the answer.
pub(super) struct RequestBody {
    /// What the client still sends; `None` at the end.
    incoming: Option<Incoming>,
    conversation: Arc<Conversation>,
    /// Whether the client waits for a `100 Continue`. Reading the body would send it.
    expects_continue: bool,
}

impl RequestBody {
    pub(super) fn of(request: Request<Incoming>, conversation: &Arc<Conversation>) -> Request<Self> {
        let expects_continue = request.headers().contains_key(header::EXPECT);
        let awaited = if request.body().is_end_stream() { Awaited::Request } else { Awaited::Body };
        conversation.set(awaited);
        let conversation = Arc::clone(conversation);
        request.map(|body| {
            let incoming = Some(body).filter(|body| !body.is_end_stream());
            Self { incoming, conversation, expects_continue }
        })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.expects_continue = false; // it is sent now
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = Pin::new(&mut *incoming).poll_frame(context);
        if matches!(frame, Poll::Ready(None)) || incoming.is_end_stream() {
            self.incoming = None;
            self.conversation.set(Awaited::Request);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(mut rest) = self.incoming.take() else { return };
        let is_short = rest.size_hint().upper().is_some_and(|bytes| bytes <= DROPPED_BYTES);
        match Handle::try_current() {
            Ok(runtime) if is_short && !self.expects_continue => {
                let conversation = Arc::clone(&self.conversation);
                runtime.spawn(async move {
                    let read = async { while let Some(Ok(_)) = rest.frame().await {} };
                    let ended = timeout(DROPPED_WITHIN, read).await.is_ok() && rest.is_end_stream();
                    conversation.set(if ended { Awaited::Request } else { Awaited::UnwantedBody });
                });
            }
            _ => self.conversation.set(Awaited::UnwantedBody),
        }
    }
}
