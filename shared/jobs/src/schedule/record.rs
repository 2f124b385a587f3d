use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field, Index};

use crate::outbox::JobTemplate;

/// How long the state of a schedule is kept after its next tick: for a definition that no worker knows any longer.
const KEPT: std::time::Duration = std::time::Duration::from_secs(90 * 24 * 60 * 60);

/// The state of a schedule, or under the name alone, whether it is paused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ScheduleRecord {
    /// `name@hash` of expression and zone: two definitions of a deployment that is under way do not disturb each other.
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) definition: Option<Definition>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) paused: bool,
    pub(crate) created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_tick: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_tick: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_job: Option<String>,
}

/// What a schedule was declared as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) expression: String,
    pub(crate) time_zone: String,
    pub(crate) template: JobTemplate,
}

impl Entity for ScheduleRecord {
    const COLLECTION: &'static Collection = &Collection::new("job_schedules")
        .fields(&[Field::string("name")])
        .indexes(&[Index::new(Self::BY_NAME).sort(&["name"]).shards(1)])
        .expiring();

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.next_tick.map(|tick| tick + KEPT)
    }
}

impl ScheduleRecord {
    pub(crate) const BY_NAME: &str = "by_name";

    /// What says that the schedules of this name are paused.
    pub(crate) fn paused(name: &str, now: Timestamp) -> Self {
        Self {
            id: name.to_owned(),
            name: name.to_owned(),
            definition: None,
            paused: true,
            created_at: now,
            next_tick: None,
            last_tick: None,
            last_job: None,
        }
    }
}
