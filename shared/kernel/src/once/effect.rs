use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field};

use crate::AuditEvent;

/// What a request did, in the words of the audit event that it recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The action.
    pub action: String,
    /// Whom the action concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What was made or changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

impl Effect {
    /// The subject as an id; `None` if the effect has no subject, or one that is not such an id.
    pub fn subject_id<T: std::str::FromStr>(&self) -> Option<T> {
        self.subject.as_deref()?.parse().ok()
    }

    /// The id in a resource of the form `collection/id`.
    pub fn resource_id<T: std::str::FromStr>(&self) -> Option<T> {
        self.resource.as_deref()?.rsplit_once('/')?.1.parse().ok()
    }

    /// The effect of a transaction that recorded `events`. A transaction that recorded a failure or a denial has none: the
    /// request may still take effect when it is repeated.
    pub(super) fn of(events: &[AuditEvent]) -> Option<Self> {
        let first = events.first()?;
        events.iter().all(AuditEvent::is_success).then(|| Self {
            action: first.action().as_str().to_owned(),
            subject: first.subject_text().map(ToOwned::to_owned),
            resource: first.resource_text().map(ToOwned::to_owned),
        })
    }
}

/// The effect of a request with an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectRecord {
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) effect: Effect,
    pub(super) forgotten_at: Timestamp,
}

impl Entity for EffectRecord {
    const COLLECTION: &'static Collection = &Collection::new("request_effects")
        .fields(&[
            Field::string("action"),
            Field::string("subject"),
            Field::string("resource"),
            Field::time("forgotten_at"),
        ])
        .expiring();

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.forgotten_at)
    }
}
