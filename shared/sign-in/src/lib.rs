//! How sign-ins are answered over HTTP: with tokens in the answer, or in cookies for browsers. It is what the functions `auth`
//! and `accounts` share.

mod answer;
mod cookie;

pub use answer::SignInAnswer;
pub use cookie::{Cookies, DeviceCookie, RefreshCookie, SetCookies};

use switchyard_identity::Secret;

/// The largest body of the routes under `/auth`, in bytes. The longest valid one has a password, a name and an address.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// Reads a field of a body as a secret.
pub fn secret(text: String) -> Secret {
    Secret::new(text)
}

/// Reads a field of a body that may be missing as a secret.
pub fn optional_secret(text: Option<String>) -> Option<Secret> {
    text.map(Secret::new)
}
