use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{RoleName, UserId};

/// What was done, as in `user.disabled`: what it was done to, and the verb.
///
/// Every domain declares its own; those of identity are constants here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action(&'static str);

impl Action {
    /// An action of this name.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// Somebody made an account for themselves.
    pub const ACCOUNT_REGISTERED: Self = Self("account.registered");
    /// Five wrong passwords in a row locked an account, or an address without one.
    pub const ACCOUNT_LOCKED: Self = Self("account.locked");
    /// A user signed in, or tried to.
    pub const SIGNED_IN: Self = Self("account.signed_in");
    /// A user signed out.
    pub const SIGNED_OUT: Self = Self("account.signed_out");
    /// A user signed out everywhere.
    pub const SIGNED_OUT_EVERYWHERE: Self = Self("account.signed_out_everywhere");
    /// A user changed their password, or tried to.
    pub const PASSWORD_CHANGED: Self = Self("account.password_changed");
    /// A refresh token was used a second time, and its session ended.
    pub const REFRESH_TOKEN_REUSED: Self = Self("session.refresh_token_reused");
    /// An admin made an account for somebody.
    pub const USER_CREATED: Self = Self("user.created");
    /// An account was taken over from another system.
    pub const USER_IMPORTED: Self = Self("user.imported");
    /// A user's name or address was changed.
    pub const USER_CHANGED: Self = Self("user.changed");
    /// A user was deleted, and can be restored.
    pub const USER_DELETED: Self = Self("user.deleted");
    /// A deleted user was restored.
    pub const USER_RESTORED: Self = Self("user.restored");
    /// A user was shut out.
    pub const USER_DISABLED: Self = Self("user.disabled");
    /// A user was let in again.
    pub const USER_ENABLED: Self = Self("user.enabled");
    /// A user's lock was lifted.
    pub const USER_UNLOCKED: Self = Self("user.unlocked");
    /// A user was given other roles.
    pub const USER_ROLES_CHANGED: Self = Self("user.roles_changed");
    /// A user's profile was changed.
    pub const PROFILE_CHANGED: Self = Self("profile.changed");
    /// A role was made.
    pub const ROLE_CREATED: Self = Self("role.created");
    /// A role was changed.
    pub const ROLE_CHANGED: Self = Self("role.changed");
    /// A role was deleted.
    pub const ROLE_DELETED: Self = Self("role.deleted");
    /// Somebody tried what they may not do.
    pub const ACCESS_DENIED: Self = Self("access.denied");
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was tried and went wrong, as a sign-in with a wrong password does.
    Failure,
    /// It was tried by somebody who may not do it.
    Denied,
}

/// Something to record. Who did it, from where and when, the context tells.
///
/// ```
/// use switchyard_identity::{Action, AuditEvent};
///
/// const REFUNDED: Action = Action::new("order.refunded");
/// let event = AuditEvent::new(REFUNDED).subject("0190a1b2-0000-7000-8000-000000000001").resource("orders/17");
/// # let _ = event;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    pub(super) action: Action,
    pub(super) outcome: Outcome,
    pub(super) subject: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) details: BTreeMap<String, String>,
}

impl AuditEvent {
    /// The event that `action` was done.
    pub fn new(action: Action) -> Self {
        Self { action, outcome: Outcome::Success, subject: None, resource: None, details: BTreeMap::new() }
    }

    /// Whom it concerns: a user's id, or `role:` and a role's name.
    #[must_use]
    pub fn subject(mut self, subject: impl fmt::Display) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    /// What was touched, as in `sessions/0190a1b2-…`.
    #[must_use]
    pub fn resource(mut self, resource: impl fmt::Display) -> Self {
        self.resource = Some(resource.to_string());
        self
    }

    /// How it ended, unless it was done.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Adds a detail. Never a secret: the log is read by people.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.details.insert(name.to_owned(), value.to_string());
        self
    }

    /// An event that concerns a user.
    pub(crate) fn of_user(action: Action, id: UserId) -> Self {
        Self::new(action).subject(id).resource(format_args!("users/{id}"))
    }

    /// An event that concerns a role.
    pub(crate) fn of_role(action: Action, name: &RoleName) -> Self {
        Self::new(action).subject(format_args!("role:{name}")).resource(format_args!("roles/{name}"))
    }
}
