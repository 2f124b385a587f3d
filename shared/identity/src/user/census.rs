//! How many users there are, of each kind, without ever counting them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use switchyard_ambient::{Ambient, Timestamp};
use switchyard_database::{Collection, Db, Entity, Error, Transaction};

use super::UserRecord;

/// Over how many documents the counts are spread. Each transaction that changes a user draws one: of eight that run at the
/// same time, two meet in one in a third of all cases, and the second of them merely runs again.
const SHARDS: u8 = 64;
/// Registrations are counted by day, for as many days as anybody asks about.
const DAYS_KEPT: i64 = 31;
const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// Counts of users who are not deleted, or changes of such counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Census {
    pub(crate) enabled: i64,
    pub(crate) disabled: i64,
    pub(crate) by_role: BTreeMap<String, i64>,
    /// By the day on which they were made: days since 1970-01-01 in UTC.
    registered: BTreeMap<String, i64>,
}

impl Census {
    /// Counts a user `times` times; -1 takes them out.
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

    /// How many were made on the last `days` days, the day of `now` counted.
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

/// What comes to zero is left out, so that a change and its reverse leave nothing behind.
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

/// A part of the counts. Alone it means nothing, it can be negative: a user may be counted in here and out there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CensusShard {
    id: String,
    census: Census,
}

impl Entity for CensusShard {
    const COLLECTION: &'static Collection = &Collection::new("user_counts");

    fn id(&self) -> &str {
        &self.id
    }
}

impl CensusShard {
    /// Adds changes to a part that is drawn anew each time.
    pub(crate) async fn add(
        tx: &Transaction,
        ambient: &Ambient,
        changes: &Census,
        now: Timestamp,
    ) -> Result<(), Error> {
        let [drawn] = ambient.bytes();
        let id = id_of(drawn % SHARDS);
        let stored = tx.get::<Self>(&id).await?;
        let mut census = stored.as_ref().map(|shard| shard.census.clone()).unwrap_or_default();
        census.merge(changes, now);
        let shard = Self { id, census };
        match &stored {
            Some(stored) => tx.replace(stored, &shard)?,
            None => tx.insert(&shard)?,
        };
        Ok(())
    }

    /// The counts.
    pub(crate) async fn total(db: &Db, now: Timestamp) -> Result<Census, Error> {
        let shards = db.collection::<Self>().get_many((0..SHARDS).map(id_of)).await?;
        let mut total = Census::default();
        shards.into_iter().flatten().for_each(|shard| total.merge(&shard.census, now));
        Ok(total)
    }
}

fn id_of(shard: u8) -> String {
    format!("users-{shard:02}")
}
