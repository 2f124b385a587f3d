//! The actions that the kernel itself records.

use super::Action;

/// A user tried to do something that they may not do.
pub const ACCESS_DENIED: Action = Action::new("access.denied");
/// Someone sent an access token that was not issued here, or was changed. One that has expired is not recorded.
pub const TOKEN_REFUSED: Action = Action::new("access.token_refused");
/// A user, or someone at an address, sent more requests than a rate limit allows.
pub const RATE_LIMITED: Action = Action::new("access.rate_limited");

/// All of them.
pub const ALL: &[Action] = &[ACCESS_DENIED, TOKEN_REFUSED, RATE_LIMITED];
