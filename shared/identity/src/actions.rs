//! The actions that identity records in the audit log.

use switchyard_kernel::{Action, AuditEvent, RoleName, UserId};

/// Someone created an account for themselves.
pub const ACCOUNT_REGISTERED: Action = Action::new("account.registered");
/// Five wrong passwords in a row locked an account, or an address without one.
pub const ACCOUNT_LOCKED: Action = Action::new("account.locked");
/// Five wrong passwords in a row ended for a while that a device is known.
pub const DEVICE_LOCKED: Action = Action::new("account.device_locked");
/// A user signed in, or tried to.
pub const SIGNED_IN: Action = Action::new("account.signed_in");
/// A user signed out.
pub const SIGNED_OUT: Action = Action::new("account.signed_out");
/// A user signed out everywhere.
pub const SIGNED_OUT_EVERYWHERE: Action = Action::new("account.signed_out_everywhere");
/// A user changed their password, or tried to.
pub const PASSWORD_CHANGED: Action = Action::new("account.password_changed");
/// An operator gave a user a password, which the user must change first.
pub const PASSWORD_RESET: Action = Action::new("account.password_reset");
/// A session was ended, because its user had too many.
pub const SESSION_ENDED: Action = Action::new("session.ended");
/// A refresh token was used a second time, and its session ended.
pub const REFRESH_TOKEN_REUSED: Action = Action::new("session.refresh_token_reused");
/// An admin created an account for someone.
pub const USER_CREATED: Action = Action::new("user.created");
/// An account was imported from another system.
pub const USER_IMPORTED: Action = Action::new("user.imported");
/// The name or address of a user was changed.
pub const USER_CHANGED: Action = Action::new("user.changed");
/// A user was deleted, and can be restored.
pub const USER_DELETED: Action = Action::new("user.deleted");
/// A deleted user was restored.
pub const USER_RESTORED: Action = Action::new("user.restored");
/// A user was disabled.
pub const USER_DISABLED: Action = Action::new("user.disabled");
/// A user was enabled again.
pub const USER_ENABLED: Action = Action::new("user.enabled");
/// A user was unlocked.
pub const USER_UNLOCKED: Action = Action::new("user.unlocked");
/// The roles of a user were changed.
pub const USER_ROLES_CHANGED: Action = Action::new("user.roles_changed");
/// The profile of a user was changed.
pub const PROFILE_CHANGED: Action = Action::new("profile.changed");
/// A role was created.
pub const ROLE_CREATED: Action = Action::new("role.created");
/// A role was changed.
pub const ROLE_CHANGED: Action = Action::new("role.changed");
/// A role was deleted.
pub const ROLE_DELETED: Action = Action::new("role.deleted");

/// All of them.
pub const ALL: &[Action] = &[
    ACCOUNT_REGISTERED,
    ACCOUNT_LOCKED,
    DEVICE_LOCKED,
    SIGNED_IN,
    SIGNED_OUT,
    SIGNED_OUT_EVERYWHERE,
    PASSWORD_CHANGED,
    PASSWORD_RESET,
    SESSION_ENDED,
    REFRESH_TOKEN_REUSED,
    USER_CREATED,
    USER_IMPORTED,
    USER_CHANGED,
    USER_DELETED,
    USER_RESTORED,
    USER_DISABLED,
    USER_ENABLED,
    USER_UNLOCKED,
    USER_ROLES_CHANGED,
    PROFILE_CHANGED,
    ROLE_CREATED,
    ROLE_CHANGED,
    ROLE_DELETED,
];

/// An event that concerns a user.
pub(crate) fn user_event(action: Action, id: UserId) -> AuditEvent {
    AuditEvent::new(action).subject(id).resource(format_args!("users/{id}"))
}

/// An event that concerns a role.
pub(crate) fn role_event(action: Action, name: &RoleName) -> AuditEvent {
    AuditEvent::new(action).subject(format_args!("role:{name}")).resource(format_args!("roles/{name}"))
}
