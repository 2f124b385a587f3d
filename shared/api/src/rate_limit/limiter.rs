use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use switchyard_database::{Db, Result};

use super::counter::take;
use super::limit::{Quota, RateLimit, Verdict, Window};

/// The number of subjects to remember. When it is reached, the subjects whose window is over are dropped; if
/// that is not enough, all are.
const MAX_SUBJECTS: usize = 10_000;

/// Counts requests in the shared store, so that a limit applies to all instances together.
///
/// Counting each request there would cost each a write. So an instance takes several of a subject's requests
/// from the store at once: as many as it has used in the window so far, and at most a twentieth of the quota.
/// The limit is never exceeded. Requests that an instance has taken but not used are unavailable to the others
/// until the window ends. A small quota, or one that is counted exactly, is taken one request at a time.
#[derive(Debug)]
pub(crate) struct Limiter {
    policy: String,
    limit: RateLimit,
    exact: bool,
    shares: Mutex<HashMap<String, Share>>,
}

/// The part of a subject's quota that this instance holds.
#[derive(Clone, Copy, Debug)]
struct Share {
    window: Window,
    /// Taken from the store and not used yet.
    at_hand: u32,
    /// Used by this instance in this window.
    used: u32,
    /// Left in the store as of the last call; `None` before the first.
    in_store: Option<u32>,
}

impl Limiter {
    /// A limiter that asks the store about every request.
    pub(crate) fn exact(policy: &str, limit: RateLimit) -> Self {
        Self { policy: policy.to_owned(), limit, exact: true, shares: Mutex::default() }
    }

    /// A limiter that takes requests out of the store in portions.
    pub(crate) fn in_portions(policy: &str, limit: RateLimit) -> Self {
        Self { policy: policy.to_owned(), limit, exact: false, shares: Mutex::default() }
    }

    /// Counts one request of `subject`. Returns `None` if there is no limit.
    pub(crate) async fn count(&self, db: &Db, subject: &str) -> Result<Option<Verdict>> {
        let RateLimit::Quota(quota) = self.limit else { return Ok(None) };
        let now = db.ambient().now();
        let window = quota.window(now);
        let resets_in = window.ends_at - now;
        let verdict = |allowed, remaining| {
            Some(Verdict { policy: self.policy.clone(), quota, allowed, remaining, resets_in })
        };

        let mut share = match self.use_share(subject, window) {
            Use::Allowed { remaining } => return Ok(verdict(true, remaining)),
            Use::Exhausted => return Ok(verdict(false, 0)),
            Use::Empty(share) => share,
        };
        // The limit is part of the id, so that a changed setting starts with a full quota.
        let id = format!("{}:{subject}:{}:{}", self.policy, self.limit, window.starts_at);
        let taken = take(db, &id, quota.requests(), window.ends_at, self.portion(quota, share)).await?;
        let allowed = taken.granted > 0;
        share.in_store = Some(taken.remaining);
        share.at_hand = taken.granted.saturating_sub(1);
        share.used = share.used.saturating_add(u32::from(allowed));
        let remaining = share.at_hand.saturating_add(taken.remaining);
        self.put_share(subject, share);
        Ok(verdict(allowed, remaining))
    }

    fn portion(&self, quota: Quota, share: Share) -> u32 {
        if self.exact { 1 } else { share.used.clamp(1, (quota.requests() / 20).max(1)) }
    }

    fn use_share(&self, subject: &str, window: Window) -> Use {
        let mut shares = self.lock();
        match shares.get_mut(subject).filter(|share| share.window == window) {
            Some(share) if share.at_hand > 0 => {
                share.at_hand -= 1;
                share.used = share.used.saturating_add(1);
                Use::Allowed { remaining: share.at_hand.saturating_add(share.in_store.unwrap_or(0)) }
            }
            // Nothing is returned to a window, so the store need not be read again: a flood of requests stops
            // here.
            Some(share) if share.in_store == Some(0) => Use::Exhausted,
            Some(share) => Use::Empty(*share),
            None => Use::Empty(Share { window, at_hand: 0, used: 0, in_store: None }),
        }
    }

    fn put_share(&self, subject: &str, mut share: Share) {
        let mut shares = self.lock();
        if shares.len() >= MAX_SUBJECTS && !shares.contains_key(subject) {
            shares.retain(|_, other| {
                other.window.ends_at > share.window.ends_at || other.window == share.window
            });
            if shares.len() >= MAX_SUBJECTS {
                shares.clear();
            }
        }
        match shares.get(subject) {
            // This request began in the previous window, so its share does not apply to the current one.
            Some(other) if other.window.ends_at > share.window.ends_at => return,
            // Another request of the same subject took a portion in the meantime.
            Some(other) if other.window == share.window => {
                share.at_hand = share.at_hand.saturating_add(other.at_hand);
                share.in_store = share.in_store.into_iter().chain(other.in_store).min();
                share.used = share.used.max(other.used);
            }
            _ => {}
        }
        shares.insert(subject.to_owned(), share);
    }

    // The map is consistent even if a thread panicked while it held the lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Share>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Use {
    Allowed { remaining: u32 },
    Exhausted,
    Empty(Share),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use switchyard_ambient::Timestamp;

    use super::*;

    #[test]
    fn a_request_that_began_in_the_previous_window_does_not_change_this_one() {
        let limit: RateLimit = "100/1m".parse().unwrap();
        let limiter = Limiter::in_portions("user", limit);
        let RateLimit::Quota(quota) = limit else { panic!("expected a quota") };
        let now = Timestamp::from_seconds(1_700_000_000);
        let (previous, this) = (quota.window(now), quota.window(now + Duration::from_secs(60)));
        limiter.put_share("ada", Share { window: this, at_hand: 5, used: 9, in_store: Some(80) });
        limiter.put_share("ada", Share { window: previous, at_hand: 3, used: 40, in_store: Some(2) });
        let Use::Allowed { remaining } = limiter.use_share("ada", this) else {
            panic!("expected a request at hand")
        };
        assert_eq!(remaining, 84);
    }
}
