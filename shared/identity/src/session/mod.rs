//! Sessions and their refresh tokens.

mod record;
mod refresh_token;
mod service;
mod sign_in;

pub(crate) use record::SessionRecord;
pub use service::Sessions;
pub(crate) use sign_in::NewSession;
pub use sign_in::{SignIn, Tokens};
