//! Sessions and their refresh tokens.

mod device_token;
mod end;
mod limit;
mod live;
mod record;
mod refresh;
mod refresh_token;
mod sign_in;

pub(crate) use device_token::DeviceKeys;
pub(crate) use limit::end_surplus;
pub(crate) use live::LiveSessions;
pub(crate) use record::SessionRecord;
pub(crate) use sign_in::{NewSession, sign_in_again};
pub use sign_in::{SignIn, Tokens};

use crate::components::Components;

/// Continues and ends the sessions of users.
#[derive(Clone, Copy, Debug)]
pub struct Sessions<'a> {
    pub(crate) identity: &'a Components,
}

/// Parses a refresh token and formats it again; `None` if it is malformed.
#[cfg(any(test, feature = "testing"))]
pub fn rewritten_refresh_token(text: &str) -> Option<crate::Secret> {
    refresh_token::RefreshToken::parse(text).map(|token| token.to_secret())
}
