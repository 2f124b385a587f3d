//! Error codes: the stable names by which clients distinguish errors.

use std::fmt;

/// The class of an error. The HTTP layer maps each class to one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The request is malformed or breaks a rule of its fields: 400.
    Invalid,
    /// The request needs a signed-in user: 401.
    Unauthenticated,
    /// The caller lacks a permission: 403.
    Forbidden,
    /// The resource does not exist, or the caller may not learn that it exists: 404.
    NotFound,
    /// The resource does not support the method: 405.
    MethodNotAllowed,
    /// The request conflicts with the stored state: 409.
    Conflict,
    /// The resource existed and has expired: 410.
    Gone,
    /// The resource is not in the state that the request names: 412.
    PreconditionFailed,
    /// The request or the resulting document is too large: 413.
    TooLarge,
    /// The body has an unsupported media type: 415.
    UnsupportedMediaType,
    /// The request is well formed and cannot be processed: 422.
    Unprocessable,
    /// The resource is locked for a while: 423.
    Locked,
    /// The request must name the state that it applies to: 428.
    PreconditionRequired,
    /// The caller sent too many requests: 429.
    TooManyRequests,
    /// The program or its configuration is at fault: 500.
    Internal,
    /// A dependency does not answer: 503.
    Unavailable,
}

impl ErrorKind {
    /// Whether the fault lies with the service and not with the request.
    pub const fn is_server_error(self) -> bool {
        matches!(self, Self::Internal | Self::Unavailable)
    }
}

/// An error code: its name on the wire, its class, and the message that a client gets when the error has no better one.
///
/// Each crate declares its own codes as constants and lists them in its [`Manifest`](crate::Manifest). A published code is
/// never renamed.
///
/// ```
/// use switchyard_kernel::{ErrorCode, ErrorKind};
///
/// pub const NOTE_LIMIT_REACHED: ErrorCode =
///     ErrorCode::new("NOTE_LIMIT_REACHED", ErrorKind::Conflict, "You have as many notes as you may have.");
/// assert_eq!(NOTE_LIMIT_REACHED.name(), "NOTE_LIMIT_REACHED");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode {
    name: &'static str,
    kind: ErrorKind,
    message: &'static str,
    example: Option<(&'static str, &'static str)>,
}

impl ErrorCode {
    /// A code: its name in upper case with underscores, its class, and a message that tells the client what to do.
    pub const fn new(name: &'static str, kind: ErrorKind, message: &'static str) -> Self {
        Self { name, kind, message, example: None }
    }

    /// Adds an entry of `details` to the example of this code in the API's document: a field's path, and its fault.
    #[must_use]
    pub const fn with_example(mut self, path: &'static str, fault: &'static str) -> Self {
        self.example = Some((path, fault));
        self
    }

    /// The code as clients see it.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The class.
    pub const fn kind(self) -> ErrorKind {
        self.kind
    }

    /// The default message.
    pub const fn message(self) -> &'static str {
        self.message
    }

    /// The entry of `details` in this code's example: a field's path, and its fault.
    pub const fn example(self) -> Option<(&'static str, &'static str)> {
        self.example
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
