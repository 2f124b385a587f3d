use std::sync::atomic::{AtomicU8, Ordering};

/// What the bytes are that a client sends next. A connection's stream and its requests share it: the stream sees bytes and
/// not requests, and waits differently for each of these.
#[derive(Debug)]
pub(super) struct Conversation(AtomicU8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The first byte of the next request. The client owes nothing.
    Request,
    /// The rest of a request's head.
    Head,
    /// The rest of a request's body.
    Body,
    /// The rest of a body that nobody will read.
    UnwantedBody,
}

impl Conversation {
    /// A connection that was just opened. Its client has connected to send a request.
    pub(super) fn new() -> Self {
        Self(AtomicU8::new(Awaited::Head as u8))
    }

    pub(super) fn awaited(&self) -> Awaited {
        const ALL: [Awaited; 4] = [Awaited::Request, Awaited::Head, Awaited::Body, Awaited::UnwantedBody];
        ALL[usize::from(self.0.load(Ordering::Relaxed))]
    }

    pub(super) fn set(&self, awaited: Awaited) {
        self.0.store(awaited as u8, Ordering::Relaxed);
    }
}
