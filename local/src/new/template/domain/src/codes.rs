//! The error codes of this domain.

use switchyard_kernel::{ErrorCode, ErrorKind};

/// `BOOK_LIMIT_REACHED`: the user has as many books as a user may have.
pub const BOOK_LIMIT_REACHED: ErrorCode = ErrorCode::new(
    "BOOK_LIMIT_REACHED",
    ErrorKind::Conflict,
    "You have as many books as a user may have; delete one first.",
);

/// All of them.
pub const ALL: &[ErrorCode] = &[BOOK_LIMIT_REACHED];
