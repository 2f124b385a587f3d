use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Cause, Collection, Db, Entity, Error, Field, Key, Operation, Result};

/// The rest of one subject's quota in one window. It counts down, so that the database itself refuses to go
/// below zero.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RateWindow {
    id: String,
    remaining: i64,
    ends_at: Timestamp,
}

impl Entity for RateWindow {
    const COLLECTION: &'static Collection = &Collection::new("rate_windows")
        .fields(&[Field::integer("remaining"), Field::time("ends_at")])
        .counters(&["remaining"])
        .expiring();

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.ends_at)
    }
}

/// The result of taking requests from a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// How many requests were granted; at most as many as were asked for.
    pub(super) granted: u32,
    /// How many are left for all instances, as of this call.
    pub(super) remaining: u32,
}

/// Instances compete for the same window. When one loses a round, another has won it.
const MAX_ROUNDS: usize = 8;

/// Takes up to `wanted` requests from a window of `quota` requests.
pub(super) async fn take(db: &Db, id: &str, quota: u32, ends_at: Timestamp, wanted: u32) -> Result<Taken> {
    let windows = db.collection::<RateWindow>();
    for _ in 0..MAX_ROUNDS {
        match windows.get(id).await? {
            None => {
                let remaining = quota.saturating_sub(wanted);
                let window = RateWindow { id: id.to_owned(), remaining: remaining.into(), ends_at };
                match windows.insert(&window).await {
                    Ok(_) => return Ok(Taken { granted: wanted.min(quota), remaining }),
                    Err(fault) if is_lost_race(&fault) => {}
                    Err(fault) => return Err(fault),
                }
            }
            Some(window) => {
                let left = u32::try_from(window.remaining).unwrap_or(0);
                let granted = wanted.min(left);
                if granted == 0 {
                    return Ok(Taken { granted: 0, remaining: 0 });
                }
                let key = Key::new(RateWindow::COLLECTION, id)?;
                let by = -i64::from(granted);
                let increment = Operation::Increment { key, field: "remaining", by, at_least: Some(0) };
                match db.commit(vec![increment]).await {
                    Ok(_) => return Ok(Taken { granted, remaining: left - granted }),
                    Err(fault) if is_lost_race(&fault) => {}
                    Err(fault) => return Err(fault),
                }
            }
        }
    }
    Err(Error::Contended)
}

fn is_lost_race(fault: &Error) -> bool {
    fault.rejection().is_some_and(|rejection| {
        matches!(rejection.cause, Cause::AlreadyExists | Cause::NotFound | Cause::BelowMinimum)
    })
}
