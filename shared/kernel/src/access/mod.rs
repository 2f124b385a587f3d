//! Who may do what: permissions, the users who have them, and the guard that checks them.

mod authenticator;
mod authority;
mod guard;
mod permission;

pub use authenticator::{Attack, AuthenticationError, Authenticator, NoAuthenticator, ServiceCode};
pub use authority::Authority;
pub use permission::{Permission, Permissions};

pub(crate) use guard::denial;
