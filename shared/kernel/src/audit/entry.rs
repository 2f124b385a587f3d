use std::collections::BTreeMap;

use serde::Serialize;
use switchyard_ambient::Timestamp;
use utoipa::ToSchema;

use super::Outcome;
use super::record::AuditRecord;
use crate::rfc3339;

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
        let actor = record.actor().to_owned();
        let record = record.clone();
        Self {
            id: record.entry_id,
            time: record.at,
            actor,
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
