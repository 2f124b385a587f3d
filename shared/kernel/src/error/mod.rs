//! Errors: their codes, and how an error of any domain becomes an answer.

mod code;
pub mod codes;
mod common;
mod report;

pub use code::{ErrorCode, ErrorKind};
pub use common::{CommonError, Refused};
pub use report::{DomainError, ErrorCause, ErrorReport};
