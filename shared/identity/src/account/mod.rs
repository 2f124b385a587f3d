//! What users do with their own accounts: register, sign in, change the password.

mod credential;
mod first_admin;
mod guess;
mod login;
mod me;
mod password_change;
mod password_reset;
mod register;

pub(crate) use credential::Credential;
pub use first_admin::FirstAdminOutcome;
pub use login::{LoginOutcome, LoginRequest};
pub use register::Registration;

use crate::components::Components;

/// What users do with their own accounts: register, sign in, change the password. Also creates the first admin.
#[derive(Clone, Copy, Debug)]
pub struct Accounts<'a> {
    pub(crate) identity: &'a Components,
}

impl From<crate::password::Busy> for switchyard_kernel::CommonError {
    fn from(busy: crate::password::Busy) -> Self {
        Self::Busy { retry_after: busy.retry_after }
    }
}

impl From<crate::password::HasherStopped> for switchyard_kernel::CommonError {
    fn from(stopped: crate::password::HasherStopped) -> Self {
        Self::Internal(stopped.to_string())
    }
}
