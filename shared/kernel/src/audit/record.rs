use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field, Index};
use utoipa::ToSchema;

use super::Outcome;
use crate::key_ring::hex;
use crate::{KeyRing, rfc3339};

/// How long entries are kept: six years, at most two of them leap years.
pub(super) const RETENTION: Duration = Duration::from_secs((6 * 365 + 2) * 24 * 60 * 60);

/// A stored entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct AuditRecord {
    /// The chain and the number within it, as in `17-000000000042`. The next entry of a chain is therefore read by key, which
    /// sees every commit, and two writers cannot both write it.
    pub(super) position: String,
    pub(super) entry_id: String,
    pub(super) chain: u8,
    pub(super) sequence: i64,
    pub(super) at: Timestamp,
    pub(super) actor: String,
    pub(super) actor_roles: Vec<String>,
    pub(super) action: String,
    pub(super) outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_agent: Option<String>,
    pub(super) request_id: String,
    pub(super) details: BTreeMap<String, String>,
    /// When the previous entry was written. Once that entry is gone, this shows whether it could have expired.
    pub(super) previous_at: Option<Timestamp>,
    pub(super) previous_mac: String,
    pub(super) key_id: String,
    pub(super) mac: String,
}

impl Entity for AuditRecord {
    const COLLECTION: &'static Collection = &Collection::new("audit_entries")
        .fields(&[
            Field::string("entry_id"),
            Field::time("at"),
            Field::string("actor"),
            Field::string("action"),
            Field::string("outcome"),
            Field::string("subject"),
            Field::string("resource"),
        ])
        .indexes(&[
            Index::new("by_time").sort(&["at"]).shards(8),
            Index::new("by_subject").partition(&["subject"]).sort(&["at"]),
            Index::new("by_actor").partition(&["actor"]).sort(&["at"]),
            Index::new("by_action").partition(&["action"]).sort(&["at"]),
        ])
        .expiring();

    fn id(&self) -> &str {
        &self.position
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.at + RETENTION)
    }
}

impl AuditRecord {
    /// The key under which the entry of this number is stored.
    pub(super) fn position_of(chain: u8, sequence: i64) -> String {
        format!("{chain:02}-{sequence:012}")
    }

    /// The code over the entry without the code itself; `None` if `keys` does not hold the entry's key.
    ///
    /// The message is the JSON of the struct, with the fields in the order of declaration. Absent fields are left out, so a
    /// field that is added later does not change existing codes.
    pub(super) fn mac_with(&self, keys: &KeyRing) -> Option<String> {
        let unsigned = Self { mac: String::new(), ..self.clone() };
        let message = serde_json::to_vec(&unsigned).ok()?;
        keys.code(&self.key_id, &message).map(|code| hex(code.as_ref()))
    }
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AuditEntry {
    /// The entry's id.
    #[schema(format = "uuid", example = "0190a1b2-0000-7000-8000-000000000001")]
    pub id: String,
    /// When it happened.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// The actor: a user's id, `system` or `anonymous`.
    #[schema(example = "0190a1b2-0000-7000-8000-000000000001")]
    pub actor: String,
    /// The actor's roles at that time.
    #[schema(example = json!(["admin"]))]
    pub roles: Vec<String>,
    /// The action.
    #[schema(example = "user.disabled")]
    pub action: String,
    /// The outcome.
    pub outcome: Outcome,
    /// Whom it concerns: a user's id, or `role:` and a role's name.
    #[schema(required, example = "0190a1b2-0000-7000-8000-000000000002")]
    pub subject: Option<String>,
    /// The resource.
    #[schema(required, example = "users/0190a1b2-0000-7000-8000-000000000002")]
    pub resource: Option<String>,
    /// The client's address. It is hidden from users when somebody else acted on their account.
    #[schema(required, example = "203.0.113.7")]
    pub address: Option<String>,
    /// The client's `User-Agent`, hidden in the same cases as `address`.
    #[schema(required, example = "curl/8.10.1")]
    pub user_agent: Option<String>,
    /// The request's id.
    #[schema(example = "0190a5f4-6f0e-7cc4-8a5e-5d9c0b1f3f55")]
    pub request_id: String,
    /// Further details.
    pub details: BTreeMap<String, String>,
}

impl From<&AuditRecord> for AuditEntry {
    fn from(record: &AuditRecord) -> Self {
        let record = record.clone();
        Self {
            id: record.entry_id,
            time: record.at,
            actor: record.actor,
            roles: record.actor_roles,
            action: record.action,
            outcome: record.outcome,
            subject: record.subject,
            resource: record.resource,
            address: record.address,
            user_agent: record.user_agent,
            request_id: record.request_id,
            details: record.details,
        }
    }
}
