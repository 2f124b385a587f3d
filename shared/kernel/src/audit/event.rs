use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was done, as in `user.disabled`: the kind of resource, and the verb.
///
/// Each domain declares its own as constants and lists them in its [`Manifest`](crate::Manifest).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action(&'static str);

impl Action {
    /// An action with this name.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// The outcome of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was tried and failed, such as a sign-in with a wrong password.
    Failure,
    /// The actor may not do it.
    Denied,
}

/// An event to record. The actor, the address and the time come from the context.
///
/// ```
/// use switchyard_kernel::{Action, AuditEvent};
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
    pub(crate) fn action(&self) -> Action {
        self.action
    }

    pub(crate) fn is_success(&self) -> bool {
        self.outcome == Outcome::Success
    }

    pub(crate) fn subject_text(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    pub(crate) fn resource_text(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    /// The event that `action` succeeded.
    pub fn new(action: Action) -> Self {
        Self { action, outcome: Outcome::Success, subject: None, resource: None, details: BTreeMap::new() }
    }

    /// Sets whom it concerns: a user's id, or `role:` and a role's name.
    #[must_use]
    pub fn subject(mut self, subject: impl fmt::Display) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    /// Sets the resource, as in `sessions/0190a1b2-…`.
    #[must_use]
    pub fn resource(mut self, resource: impl fmt::Display) -> Self {
        self.resource = Some(resource.to_string());
        self
    }

    /// Sets the outcome.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Adds a detail. It must not be a secret: people read the log.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.details.insert(name.to_owned(), value.to_string());
        self
    }
}
