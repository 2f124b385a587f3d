//! The actions that the kernel itself records.

use super::Action;

/// A user tried to do something that they may not do.
pub const ACCESS_DENIED: Action = Action::new("access.denied");
