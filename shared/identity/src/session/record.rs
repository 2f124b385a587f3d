use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field, Index};
use switchyard_kernel::{SessionId, UserId};

use crate::DeviceName;

/// A stored session: a sign-in, and the hashes of the refresh token that continues it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    pub(super) id: SessionId,
    pub(super) user_id: UserId,
    /// The hash of the part that all refresh tokens of the session share.
    pub(super) family_hash: String,
    /// The hash of the part that only the latest token has.
    pub(super) secret_hash: String,
    /// The user's epoch at the sign-in, or at the last refresh: see [`LiveSessions`](super::LiveSessions).
    pub(super) epoch: i64,
    /// Set when a token was used twice. The session is kept until it would have expired, so that a client with
    /// one of its old tokens still learns what happened.
    pub(super) reused_at: Option<Timestamp>,
    pub(super) device_name: Option<DeviceName>,
    pub(super) user_agent: Option<String>,
    pub(super) ip: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) last_used_at: Timestamp,
    pub(super) auth_time: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl Entity for SessionRecord {
    const COLLECTION: &'static Collection = &Collection::new("sessions")
        .fields(&[
            Field::string("user_id"),
            Field::string("device_name"),
            Field::string("user_agent"),
            Field::string("ip"),
            Field::time("created_at"),
            Field::time("last_used_at"),
        ])
        .indexes(&[Index::new("by_user").partition(&["user_id"]).sort(&["created_at"])])
        .expiring();

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}
