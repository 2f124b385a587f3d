use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field, Index, Stored, Unique};
use switchyard_kernel::{EntityTag, RoleName, UserId, Versioned, rfc3339};

use crate::role::ADMIN;
use crate::{EmailAddress, PersonName, User, UserStatus};

/// A user as they are stored. The password lies elsewhere, so that no read of a user can leak it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UserRecord {
    pub(crate) id: UserId,
    pub(crate) email: EmailAddress,
    /// What is unique about the address; kept by deleted users, whose address stays taken. Set when the user is written.
    pub(crate) email_key: String,
    pub(crate) name: PersonName,
    /// At least one; the first is the one that is shown as `role`.
    pub(crate) roles: Vec<RoleName>,
    pub(crate) disabled: bool,
    pub(crate) deleted: bool,
    pub(crate) deleted_at: Option<Timestamp>,
    /// Until when nobody can sign in, after too many failures. Only for showing it: what decides is counted by address.
    pub(crate) locked_until: Option<Timestamp>,
    /// In which of the small groups the user is listed: `deleted`, `disabled` or `locked`; `None` for the great rest.
    /// Set when the user is written.
    pub(crate) mark: Option<String>,
    pub(crate) email_verified: bool,
    pub(crate) mfa_enabled: bool,
    /// `false` for those who were invited or imported and have not chosen a password yet: they cannot sign in.
    pub(crate) password_set: bool,
    /// Sessions of an earlier epoch are over. Ending all of a user's sessions is this one number, however many there are
    /// and however late an index learns of the latest.
    pub(crate) session_epoch: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) last_login_at: Option<Timestamp>,
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
            Field::string("mark"),
            Field::time("locked_until"),
            Field::time("created_at"),
            Field::time("updated_at"),
            Field::time("last_login_at"),
        ])
        .indexes(&[
            Index::new("by_creation").sort(&["created_at"]).shards(8),
            Index::new("by_mark").partition(&["mark"]).sort(&["created_at"]),
            Index::new("by_lock").sort(&["locked_until"]).shards(1),
        ])
        .uniques(&[Unique::new("email", &["email_key"])])
        .search(&["name", "email"]);

    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl UserRecord {
    /// Somebody who has just come, with a password or without one.
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
            locked_until: None,
            mark: None,
            email_verified: false,
            mfa_enabled: false,
            password_set,
            session_epoch: 0,
            created_at: now,
            updated_at: now,
            last_login_at: None,
        }
    }

    /// Brings what is derived into line with what it is derived from, before the user is written.
    pub(crate) fn with_marks(mut self) -> Self {
        self.email_key = self.email.key();
        self.deleted = self.deleted_at.is_some();
        let mark = if self.deleted {
            Some("deleted")
        } else if self.disabled {
            Some("disabled")
        } else {
            self.locked_until.map(|_| "locked")
        };
        self.mark = mark.map(str::to_owned);
        self
    }

    /// The user, changed by somebody.
    pub(crate) fn touched(mut self, now: Timestamp) -> Self {
        self.updated_at = rfc3339::to_millisecond(now);
        self
    }

    /// Whether the user may sign in and stay signed in: neither deleted nor disabled.
    pub(crate) fn is_active(&self) -> bool {
        !self.deleted && !self.disabled
    }

    /// Whether the user is an admin who can sign in. Those alone count when the last one is looked for.
    pub(crate) fn is_effective_admin(&self) -> bool {
        self.is_active() && self.password_set && self.roles.iter().any(|role| role.as_str() == ADMIN)
    }

    /// The roles in which the user is counted: all, until they are deleted.
    pub(crate) fn counted_roles(&self) -> &[RoleName] {
        if self.deleted { &[] } else { &self.roles }
    }

    /// What is shown as the state. A lock passes by itself; being disabled does not, and comes first.
    pub(crate) fn status(&self, now: Timestamp) -> UserStatus {
        if self.disabled {
            UserStatus::Disabled
        } else if self.locked_until.is_some_and(|until| until > now) {
            UserStatus::Locked
        } else {
            UserStatus::Active
        }
    }
}

/// The tag of a user's state: the version, and whether the user is locked. A lock ends without a new version.
pub(crate) fn tag_of(user: &Stored<UserRecord>, now: Timestamp) -> EntityTag {
    let version = user.version();
    match user.status(now) {
        UserStatus::Locked => EntityTag::new(format_args!("{version}-locked")),
        UserStatus::Active | UserStatus::Disabled => EntityTag::new(version),
    }
}

/// The user as the API shows them.
pub(crate) fn versioned(user: &Stored<UserRecord>, now: Timestamp) -> Versioned<User> {
    Versioned { value: User::of(user, now), tag: tag_of(user, now) }
}
