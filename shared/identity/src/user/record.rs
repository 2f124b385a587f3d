use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field, Index, Unique};
use switchyard_kernel::{Actor, Context, Principal, RoleName, UserId, rfc3339};

use crate::role::ADMIN;
use crate::session::LiveSessions;
use crate::{EmailAddress, PersonName};

/// A stored user. The password is stored elsewhere, so that reading a user can never leak it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UserRecord {
    pub(crate) id: UserId,
    pub(crate) email: EmailAddress,
    /// The unique form of the address. Deleted users keep it, so that their address stays taken. Derived when
    /// the user is written.
    pub(crate) email_key: String,
    pub(crate) name: PersonName,
    /// At least one. The first is shown as `role`.
    pub(crate) roles: Vec<RoleName>,
    pub(crate) disabled: bool,
    pub(crate) deleted: bool,
    pub(crate) deleted_at: Option<Timestamp>,
    /// The small group of users to which the user belongs: `deleted` or `disabled`; `None` for most users. Derived when the
    /// user is written.
    pub(crate) mark: Option<String>,
    pub(crate) email_verified: bool,
    pub(crate) mfa_enabled: bool,
    /// `false` if the user was invited or imported and has no password yet. Such users cannot sign in.
    pub(crate) password_set: bool,
    /// `true` while the password is one that somebody else has seen, such as the operator who set it.
    pub(crate) password_change_required: bool,
    pub(crate) sessions: LiveSessions,
    /// How often an operator has unlocked the user. Guesses from known devices are counted apart for each such number, so
    /// that unlocking the user forgets all of them.
    pub(crate) unlocks: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// When the user registered, which signed them in. Later sign-ins are in [`Attempts`](crate::password::Attempts).
    pub(crate) registered_at: Option<Timestamp>,
}

impl Entity for UserRecord {
    const COLLECTION: &'static Collection = &Collection::new("users")
        .fields(&[
            Field::string("email"),
            Field::string("email_key"),
            Field::string("name"),
            Field::json("roles"),
            Field::boolean("disabled"),
            Field::boolean("deleted"),
            Field::string("mark").few_values(),
            Field::time("created_at"),
            Field::time("updated_at"),
            Field::time("registered_at"),
        ])
        .indexes(&[
            Index::new("by_creation").sort(&["created_at"]).shards(8),
            Index::new("by_mark").partition(&["mark"]).sort(&["created_at"]).shards(4),
        ])
        .uniques(&[Unique::new("email", &["email_key"])])
        .search(&["name", "email"]);

    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl UserRecord {
    /// A new user, with or without a password.
    pub(crate) fn new(
        id: UserId,
        email: EmailAddress,
        name: PersonName,
        roles: Vec<RoleName>,
        password_set: bool,
        now: Timestamp,
    ) -> Self {
        let now = rfc3339::to_millisecond(now);
        Self {
            id,
            email_key: email.key(),
            email,
            name,
            roles,
            disabled: false,
            deleted: false,
            deleted_at: None,
            mark: None,
            email_verified: false,
            mfa_enabled: false,
            password_set,
            password_change_required: false,
            sessions: LiveSessions::default(),
            unlocks: 0,
            created_at: now,
            updated_at: now,
            registered_at: None,
        }
    }

    /// Sets the derived fields. Called before the user is written.
    pub(crate) fn with_derived_fields(mut self) -> Self {
        self.email_key = self.email.key();
        self.deleted = self.deleted_at.is_some();
        let mark = if self.deleted { Some("deleted") } else { self.disabled.then_some("disabled") };
        self.mark = mark.map(str::to_owned);
        self
    }

    /// The user with a new time of the last change.
    pub(crate) fn touched(mut self, now: Timestamp) -> Self {
        self.updated_at = rfc3339::to_millisecond(now);
        self
    }

    /// Whether the user may sign in and stay signed in, that is, is neither deleted nor disabled.
    pub(crate) fn is_active(&self) -> bool {
        !self.deleted && !self.disabled
    }

    /// Whether the user is active, and the session of the token that describes `principal` has not ended.
    pub(crate) fn has_live_session(&self, principal: &Principal) -> bool {
        self.is_active() && self.sessions.include(principal.session_id, principal.session_epoch)
    }

    /// The sessions after a change that ends them: all, but for the one in which the user makes the change themselves.
    pub(crate) fn sessions_ended_by(&self, context: &Context) -> LiveSessions {
        match &context.actor {
            Actor::User(principal) if principal.user_id == self.id => {
                self.sessions.others_ended(principal.session_id)
            }
            _ => self.sessions.all_ended(),
        }
    }

    /// Whether the user is an admin who can sign in. At least one of these must always remain.
    pub(crate) fn is_effective_admin(&self) -> bool {
        self.is_active() && self.password_set && self.roles.iter().any(|role| role.as_str() == ADMIN)
    }

    /// The roles that count the user as a member: all, or none if the user is deleted.
    pub(crate) fn counted_roles(&self) -> &[RoleName] {
        if self.deleted { &[] } else { &self.roles }
    }
}
