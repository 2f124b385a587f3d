use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use deserr::Deserr;
use ring::digest::{SHA256, digest};
use serde::Serialize;
use switchyard_ambient::Timestamp;
use switchyard_kernel::{EntityTag, RoleName, UserId, Versioned, rfc3339};
use utoipa::ToSchema;

use super::UserRecord;
use crate::password::Attempts;
use crate::{EmailAddress, PersonName};

/// The state of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserStatus {
    /// The user can sign in.
    Active,
    /// An admin has disabled the user.
    Disabled,
    /// After too many failures, the user cannot sign in for a while, except on a device where they did so before.
    Locked,
}

/// No state has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of: active, disabled, locked")]
pub struct UnknownStatus;

impl TryFrom<String> for UserStatus {
    type Error = UnknownStatus;

    fn try_from(name: String) -> Result<Self, UnknownStatus> {
        match name.as_str() {
            "active" => Ok(Self::Active),
            "disabled" => Ok(Self::Disabled),
            "locked" => Ok(Self::Locked),
            _ => Err(UnknownStatus),
        }
    }
}

switchyard_kernel::read_with_deserr!(UserStatus);

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "0190a1b2-0000-7000-8000-000000000001", "email": "ada@example.com", "name": "Ada Lovelace",
    "role": "customer", "roles": ["customer"], "status": "active", "email_verified": false, "mfa_enabled": false,
    "created_at": "2026-03-01T08:30:00.000Z", "updated_at": "2026-03-01T08:30:00.000Z",
    "last_login_at": "2026-03-01T08:30:00.000Z",
})))]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// The e-mail address, as the user wrote it.
    pub email: EmailAddress,
    /// The name.
    pub name: PersonName,
    /// The first of `roles`.
    #[schema(required)]
    pub role: Option<RoleName>,
    /// The roles.
    pub roles: Vec<RoleName>,
    /// The state of the account.
    pub status: UserStatus,
    /// Whether the user has proved that they receive mail at the address.
    pub email_verified: bool,
    /// Whether signing in requires a second factor.
    pub mfa_enabled: bool,
    /// When the account was created.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the account was last changed. Signing in does not count.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When the user last signed in.
    #[serde(serialize_with = "rfc3339::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub last_login_at: Option<Timestamp>,
    /// When the user was deleted. Only in lists that include deleted users.
    #[serde(serialize_with = "rfc3339::serialize_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime)]
    pub deleted_at: Option<Timestamp>,
}

impl User {
    /// A user, and what is known of the attempts to sign in as them.
    pub(crate) fn of(record: &UserRecord, attempts: Option<&Attempts>, now: Timestamp) -> Self {
        let is_locked = attempts.is_some_and(|attempts| attempts.locked_for(now).is_some());
        let status = if record.disabled {
            UserStatus::Disabled // also if the user is locked, since a lock ends by itself
        } else if is_locked {
            UserStatus::Locked
        } else {
            UserStatus::Active
        };
        let last_login_at = attempts.and_then(|attempts| attempts.last_login_at);
        Self {
            id: record.id,
            email: record.email.clone(),
            name: record.name.clone(),
            role: record.roles.first().cloned(),
            roles: record.roles.clone(),
            status,
            email_verified: record.email_verified,
            mfa_enabled: record.mfa_enabled,
            created_at: record.created_at,
            updated_at: record.updated_at,
            last_login_at: last_login_at.or(record.registered_at),
            deleted_at: record.deleted_at,
        }
    }

    /// The user with their tag. Its first part is that of [`UserRecord::tag`]. Its second part follows what else is shown.
    pub(crate) fn versioned(self, record: &UserRecord) -> Versioned<Self> {
        let shown = (self.last_login_at, self.status == UserStatus::Locked);
        let tag = record.tag().showing(digest_of(&shown, 6));
        Versioned { value: self, tag }
    }
}

impl UserRecord {
    /// The tag of what a client can change, directly or by an operation. Sign-ins and the ends of sessions do not move it.
    pub(crate) fn tag(&self) -> EntityTag {
        let Self {
            id,
            email,
            name,
            roles,
            disabled,
            deleted_at,
            email_verified,
            mfa_enabled,
            updated_at,
            ..
        } = self;
        let state = (id, email, name, roles, disabled, deleted_at, email_verified, mfa_enabled, updated_at);
        EntityTag::new(digest_of(&state, 16))
    }
}

/// The first bytes of the digest of a state, in base64url.
fn digest_of(state: &impl Serialize, bytes: usize) -> String {
    // Serializing strings, numbers and lists cannot fail.
    let json = serde_json::to_vec(state).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, &json).as_ref()[..bytes])
}

/// The fields of a user that a PUT sets and a PATCH changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserr, ToSchema)]
#[deserr(deny_unknown_fields)]
pub struct UserFields {
    /// The e-mail address. A new one counts as not verified.
    pub email: EmailAddress,
    /// The name.
    pub name: PersonName,
}
