//! Sessions and their refresh tokens.

mod live;
mod record;
mod refresh_token;
mod service;
mod sign_in;

pub(crate) use live::LiveSessions;
pub(crate) use record::SessionRecord;
pub use service::Sessions;
pub(crate) use sign_in::{NewSession, sign_in_again};
pub use sign_in::{SignIn, Tokens};

/// Parses a refresh token and formats it again; `None` if it is malformed.
#[cfg(any(test, feature = "testing"))]
pub fn rewritten_refresh_token(text: &str) -> Option<crate::Secret> {
    refresh_token::RefreshToken::parse(text).map(|token| token.to_secret())
}
