//! The number of users of each kind, kept up to date with every change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use switchyard_ambient::{Ambient, Timestamp};
use switchyard_database::{Collection, Consistency, Db, Entity, Error, Transaction};

use super::UserRecord;

/// The number of documents that the counts are spread over. Each transaction that changes a user picks one at random: of
/// eight concurrent transactions, two pick the same one in a third of all cases, and the second of them runs again.
const SHARDS: u8 = 64;
/// Registrations are counted by day, for as many days as the statistics cover.
const DAYS_KEPT: i64 = 31;
const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// Counts of users who are not deleted, or changes of such counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserCounts {
    pub(crate) enabled: i64,
    pub(crate) disabled: i64,
    pub(crate) by_role: BTreeMap<String, i64>,
    /// By the day of registration: days since 1970-01-01 in UTC.
    registered: BTreeMap<String, i64>,
}

impl UserCounts {
    /// Counts a user `times` times; -1 removes them.
    pub(crate) fn add(&mut self, user: &UserRecord, times: i64, now: Timestamp) {
        if user.deleted {
            return;
        }
        let of_state = if user.disabled { &mut self.disabled } else { &mut self.enabled };
        *of_state += times;
        for role in &user.roles {
            add(&mut self.by_role, role.as_str(), times);
        }
        let day = day_of(user.created_at);
        if day > day_of(now) - DAYS_KEPT {
            add(&mut self.registered, &day.to_string(), times);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The number of users created on the last `days` days, including the day of `now`.
    pub(crate) fn registered_on_last(&self, days: i64, now: Timestamp) -> i64 {
        let today = day_of(now);
        (today - days + 1..=today).filter_map(|day| self.registered.get(&day.to_string())).sum()
    }

    fn merge(&mut self, other: &Self, now: Timestamp) {
        self.enabled += other.enabled;
        self.disabled += other.disabled;
        other.by_role.iter().for_each(|(role, by)| add(&mut self.by_role, role, *by));
        other.registered.iter().for_each(|(day, by)| add(&mut self.registered, day, *by));
        let first_kept = day_of(now) - DAYS_KEPT + 1;
        self.registered.retain(|day, _| day.parse::<i64>().is_ok_and(|day| day >= first_kept));
    }
}

/// Counts of zero are removed, so that a change and its reverse leave nothing behind.
fn add(counts: &mut BTreeMap<String, i64>, name: &str, by: i64) {
    let count = counts.get(name).copied().unwrap_or(0) + by;
    if count == 0 {
        counts.remove(name);
    } else {
        counts.insert(name.to_owned(), count);
    }
}

fn day_of(time: Timestamp) -> i64 {
    time.as_seconds().div_euclid(SECONDS_A_DAY)
}

/// A part of the counts. It has no meaning by itself and can be negative: a user may be added in one part and removed in
/// another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UserCountsPart {
    id: String,
    counts: UserCounts,
}

impl Entity for UserCountsPart {
    const COLLECTION: &'static Collection = &Collection::new("user_counts");

    fn id(&self) -> &str {
        &self.id
    }
}

impl UserCountsPart {
    /// Adds changes to a part, which is picked at random for each call.
    pub(crate) async fn add(
        tx: &Transaction,
        ambient: &Ambient,
        changes: &UserCounts,
        now: Timestamp,
    ) -> Result<(), Error> {
        let [drawn] = ambient.bytes();
        let id = id_of(drawn % SHARDS);
        let stored = tx.get::<Self>(&id).await?;
        let mut counts = stored.as_ref().map(|shard| shard.counts.clone()).unwrap_or_default();
        counts.merge(changes, now);
        let shard = Self { id, counts };
        match &stored {
            Some(stored) => tx.replace(stored, &shard)?,
            None => tx.insert(&shard)?,
        };
        Ok(())
    }

    /// The counts.
    pub(crate) async fn total(db: &Db, now: Timestamp) -> Result<UserCounts, Error> {
        let shards =
            db.collection::<Self>().get_many((0..SHARDS).map(id_of), Consistency::Linearizable).await?;
        let mut total = UserCounts::default();
        shards.into_iter().flatten().for_each(|shard| total.merge(&shard.counts, now));
        Ok(total)
    }
}

fn id_of(shard: u8) -> String {
    format!("users-{shard:02}")
}
