use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field};

use super::WINDOW;

/// How long a count is kept for the next entry, from the start of its window.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The window that the latest entry about refused attempts of a kind has opened. It is written in the transaction of the entry,
/// so there is none without an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RefusalWindow {
    id: String,
    opened_at: Timestamp,
    /// The attempts since the one that has the entry.
    count: i64,
}

impl Entity for RefusalWindow {
    const COLLECTION: &'static Collection = &Collection::new("audit_refusals")
        .fields(&[Field::time("opened_at"), Field::integer("count")])
        .counters(&["count"])
        .expiring();

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.opened_at + RETENTION)
    }
}

impl RefusalWindow {
    /// The field with the attempts.
    pub(super) const COUNT: &'static str = "count";

    pub(super) fn new(id: &str, opened_at: Timestamp) -> Self {
        Self { id: id.to_owned(), opened_at, count: 0 }
    }

    pub(super) fn count(&self) -> i64 {
        self.count
    }

    pub(super) fn ends_at(&self) -> Timestamp {
        self.opened_at + WINDOW
    }
}
