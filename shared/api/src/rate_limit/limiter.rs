use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use switchyard_ambient::Timestamp;
use switchyard_database::Db;

use super::counter::Counter;
use super::limit::{Quota, RateLimit, Verdict, Window};
use super::share::{Decision, Mode, Share, Step};

/// The number of subjects to remember. When it is reached, those are forgotten whose window is over; if there are none,
/// the half with the fewest requests.
const MAX_SUBJECTS: usize = 10_000;

/// Counts requests in the shared store, so that a limit applies to all instances together.
///
/// Counting each request there would cost each a write. So an instance counts the first few requests of a subject itself,
/// which most subjects never exceed, and tells the store with the next one. From then on it takes several requests from the
/// store at once: as many as it has used in the window so far, and at most a twentieth of the quota. Requests that an
/// instance has taken but not used are unavailable to the others until the window ends. A small quota, or one that is
/// counted exactly, is taken one request at a time.
///
/// If the store does not answer, an instance counts alone, under the same limit.
#[derive(Debug)]
pub(super) struct Limiter {
    policy: String,
    limit: RateLimit,
    mode: Mode,
    shares: Mutex<HashMap<String, Share>>,
}

impl Limiter {
    /// A limiter that asks the store about every request.
    pub(super) fn exact(policy: String, limit: RateLimit) -> Self {
        Self { policy, limit, mode: Mode::Exact, shares: Mutex::default() }
    }

    /// A limiter that takes requests out of the store in portions.
    pub(super) fn in_portions(policy: String, limit: RateLimit) -> Self {
        Self { policy, limit, mode: Mode::InPortions, shares: Mutex::default() }
    }

    /// Counts one request of `subject`. Returns `None` if there is no limit.
    pub(super) async fn count(&self, counter: &Counter, db: &Db, subject: &str) -> Option<Verdict> {
        let RateLimit::Quota(quota) = self.limit else { return None };
        let window = self.window(quota, subject, db.ambient().now());
        let (window, step) = self.with_share(subject, window, |share| {
            let step = match share.begin(self.mode, quota) {
                Step::Decided(decision) => Err(decision),
                Step::Ask => match counter.turn() {
                    Some(turn) => Ok(share.question(self.mode, quota, turn)),
                    None => Err(share.decide_alone(quota)),
                },
            };
            (share.window, step)
        });
        let question = match step {
            Err(decision) => return Some(self.verdict(quota, window, decision)),
            Ok(question) => question,
        };
        // The limit is part of the id, so that a changed setting starts with a full quota.
        let id = format!("{}:{subject}:{}:{}", self.policy, self.limit, window.starts_at.as_micros());
        let counted = counter.add(db, id, question.requests(), window.ends_at).await;
        Some(self.with_share(subject, window, |share| match counted {
            Ok(sum) if share.window == window => {
                self.verdict(quota, window, share.answered(quota, question, sum))
            }
            // The window has ended in the meantime, and what was granted has ended with it.
            Ok(sum) => self.verdict(quota, window, question.decide(quota, sum)),
            Err(failure) => self.verdict(quota, share.window, share.unanswered(quota, question, failure)),
        }))
    }

    /// What is known of the window of `subject`, without counting. Returns `None` if there is no limit.
    pub(super) fn known(&self, subject: &str, now: Timestamp) -> Option<Verdict> {
        let RateLimit::Quota(quota) = self.limit else { return None };
        let window = self.window(quota, subject, now);
        let share = self.lock().get(subject).copied().filter(|share| share.window == window);
        let remaining = share.unwrap_or(Share::new(window)).remaining(quota);
        Some(self.verdict(quota, window, Decision { allowed: true, remaining }))
    }

    fn window(&self, quota: Quota, subject: &str, now: Timestamp) -> Window {
        quota.window(&format!("{}:{subject}", self.policy), now)
    }

    fn verdict(&self, quota: Quota, window: Window, Decision { allowed, remaining }: Decision) -> Verdict {
        Verdict { policy: self.policy.clone(), quota, allowed, remaining, ends_at: window.ends_at }
    }

    /// Changes the share of `subject` in `window`, or in the one after it: a request that has read its time before the
    /// window turned, or whose clock is a little slow, counts in the present one.
    fn with_share<T>(&self, subject: &str, window: Window, change: impl FnOnce(&mut Share) -> T) -> T {
        let mut shares = self.lock();
        if let Some(share) = shares.get_mut(subject) {
            if share.window != window && share.window.starts_at != window.ends_at {
                *share = Share::new(window);
            }
            return change(share);
        }
        if shares.len() >= MAX_SUBJECTS {
            make_room(&mut shares, window.starts_at);
        }
        change(shares.entry(subject.to_owned()).or_insert(Share::new(window)))
    }

    // The map is consistent even if a thread panicked while it held the lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Share>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the subjects whose window was over at `time`. If that is not half of them, those with the fewest requests go too:
/// who sends one request from each of many addresses must not make the instance forget who is beyond the limit.
fn make_room(shares: &mut HashMap<String, Share>, time: Timestamp) {
    shares.retain(|_, share| share.window.ends_at > time);
    if shares.len() <= MAX_SUBJECTS / 2 {
        return;
    }
    let mut used: Vec<u32> = shares.values().map(Share::used).collect();
    let (_, median, _) = used.select_nth_unstable(MAX_SUBJECTS / 2);
    let median = *median;
    shares.retain(|_, share| share.used() > median);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn limiter() -> (Limiter, Quota) {
        let limit: RateLimit = "100/1m".parse().unwrap();
        let RateLimit::Quota(quota) = limit else { panic!("expected a quota") };
        (Limiter::exact("user".to_owned(), limit), quota)
    }

    #[test]
    fn a_request_that_began_in_the_previous_window_counts_in_this_one() {
        let (limiter, quota) = limiter();
        let previous = limiter.window(quota, "ada", NOW);
        let this = limiter.window(quota, "ada", previous.ends_at);
        limiter.with_share("ada", this, |share| share.decide_alone(quota));
        let (window, decision) =
            limiter.with_share("ada", previous, |share| (share.window, share.decide_alone(quota)));
        assert_eq!((window, decision.remaining), (this, 98));
    }

    #[test]
    fn a_clock_that_was_set_back_far_does_not_keep_a_window_of_the_future() {
        let (limiter, quota) = limiter();
        let future = limiter.window(quota, "ada", NOW + Duration::from_secs(86_400));
        let now = limiter.window(quota, "ada", NOW);
        limiter.with_share("ada", future, |share| share.decide_alone(quota));
        assert_eq!(limiter.with_share("ada", now, |share| share.window), now);
    }

    #[test]
    fn many_subjects_do_not_make_the_limiter_forget_who_is_beyond_the_limit() {
        let (limiter, quota) = limiter();
        let count = |subject: &str| {
            let window = limiter.window(quota, subject, NOW);
            limiter.with_share(subject, window, |share| share.decide_alone(quota)).allowed
        };
        (0..100).for_each(|_| assert!(count("flood")));
        for number in 0..3 * MAX_SUBJECTS {
            count(&number.to_string());
            assert!(limiter.lock().len() <= MAX_SUBJECTS);
        }
        assert!(!count("flood"));
    }
}
