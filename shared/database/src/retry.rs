//! How often calls that are safe to repeat are retried, after which pauses, and when no longer.
//!
//! One layer retries each cause, so that the attempts of two layers never multiply:
//!
//! | cause | retried by |
//! |---|---|
//! | the database did not accept a request, or did not answer a read | the backend, within its [`Budget`] |
//! | another writer held the same documents | the backend |
//! | what a transaction has read was changed | [`Db::transact`](crate::Db::transact), which runs the closure again |
//!
//! No retry starts too late to be answered before the [`deadline`] of the task that waits for it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use switchyard_ambient::Ambient;
use tokio::time::Instant;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// The time that a retry needs. One that starts later before the deadline would be abandoned while it is on its way,
/// and its outcome would not be known.
const NEEDED: Duration = Duration::from_millis(50);

/// Runs `task`, in which nobody waits for an answer after `deadline`. Retries that would start too late to be answered
/// are not made, and the call fails at once with the error of its last attempt.
///
/// A task that `task` spawns has no deadline, unless it sets one itself.
pub async fn within<F: Future>(deadline: Instant, task: F) -> F::Output {
    DEADLINE.scope(deadline, task).await
}

/// The time after which nobody waits for the result of the current task, if it was set with [`within`].
pub fn deadline() -> Option<Instant> {
    DEADLINE.try_get().ok()
}

/// Exponential back-off with full jitter: the pause before the n-th retry is random, at most `base · 2ⁿ⁻¹` and at
/// most `ceiling` (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The total number of attempts, including the first one.
    pub attempts: u32,
    /// The longest pause before the first retry.
    pub base: Duration,
    /// The longest pause before any retry.
    pub ceiling: Duration,
}

impl Backoff {
    /// For a call that conflicted with another writer: short pauses, many attempts, about four seconds of pauses in
    /// total.
    pub const CONTENTION: Self =
        Self { attempts: 40, base: Duration::from_millis(2), ceiling: Duration::from_millis(250) };
    /// For a call that a database did not accept: less than a second of pauses in total.
    pub const UNAVAILABLE: Self =
        Self { attempts: 5, base: Duration::from_millis(50), ceiling: Duration::from_millis(1000) };

    /// Waits before the retry that follows attempt number `attempt` (from 1). Returns `false` at once if that was
    /// the last attempt, or if too little time would be left before the [`deadline`].
    pub async fn pause(&self, attempt: u32, ambient: &Ambient) -> bool {
        if attempt >= self.attempts {
            return false;
        }
        let longest = self.base.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(self.ceiling);
        let end = Instant::now() + ambient.jitter(longest);
        if deadline().is_some_and(|deadline| end + NEEDED > deadline) {
            return false;
        }
        tokio::time::sleep_until(end).await;
        true
    }
}

/// Bounds the retries of all callers of a database that is in trouble, as the retry quota of the AWS SDKs does.
///
/// A retry takes tokens, and a call that succeeds returns them. A database that fails now and then is therefore
/// retried as its callers like. If most calls fail, only one call in five is retried: retries add at most a fifth to
/// the load of a database that is overloaded, and callers get their errors at once.
///
/// A program has one budget for each database. Conflicts with other writers take no tokens: they show that the
/// database answers, and that another writer proceeds.
#[derive(Debug)]
pub struct Budget(AtomicU32);

impl Budget {
    /// The tokens of a full budget, enough for 100 retries.
    const CAPACITY: u32 = 500;
    /// The tokens that a retry takes.
    const RETRY: u32 = 5;
    /// The tokens that a call returns if it succeeds at its first attempt.
    const SUCCESS: u32 = 1;

    fn take(&self) -> bool {
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| tokens.checked_sub(Self::RETRY));
        taken.is_ok()
    }

    fn give(&self, returned: u32) {
        let add = |tokens: u32| Some(tokens.saturating_add(returned).min(Self::CAPACITY));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

impl Default for Budget {
    /// A full budget.
    fn default() -> Self {
        Self(AtomicU32::new(Self::CAPACITY))
    }
}

/// The retries of one call of a backend.
#[derive(Debug)]
pub struct Retries<'a> {
    budget: &'a Budget,
    ambient: &'a Ambient,
    troubles: u32,
    conflicts: u32,
    taken: u32,
}

impl<'a> Retries<'a> {
    /// The retries of a call that has not been tried yet.
    pub fn new(budget: &'a Budget, ambient: &'a Ambient) -> Self {
        Self { budget, ambient, troubles: 0, conflicts: 0, taken: 0 }
    }

    /// Waits before the next attempt, after the database did not accept or did not answer the last one. Returns
    /// `false` if there must not be another attempt.
    pub async fn after_trouble(&mut self) -> bool {
        self.after_trouble_with(Backoff::UNAVAILABLE).await
    }

    /// Like [`after_trouble`](Self::after_trouble), with another back-off.
    pub async fn after_trouble_with(&mut self, backoff: Backoff) -> bool {
        self.troubles += 1;
        if self.troubles >= backoff.attempts || !self.budget.take() {
            return false;
        }
        self.taken += Budget::RETRY;
        backoff.pause(self.troubles, self.ambient).await
    }

    /// Waits before the next attempt, after the last one conflicted with another writer. Returns `false` if there
    /// must not be another attempt.
    pub async fn after_conflict(&mut self) -> bool {
        self.after_conflict_with(Backoff::CONTENTION).await
    }

    /// Like [`after_conflict`](Self::after_conflict), with another back-off.
    pub async fn after_conflict_with(&mut self, backoff: Backoff) -> bool {
        self.conflicts += 1;
        backoff.pause(self.conflicts, self.ambient).await
    }

    /// Notes that the database has answered, which returns what the retries took from the budget.
    pub fn answered(&mut self) {
        self.budget.give(if self.taken == 0 { Budget::SUCCESS } else { self.taken });
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of attempts of a call that succeeds at attempt number `success`.
    async fn attempts(budget: &Budget, ambient: &Ambient, success: u32) -> u32 {
        let mut retries = Retries::new(budget, ambient);
        let mut attempt = 1;
        while attempt != success {
            if !retries.after_trouble().await {
                return attempt;
            }
            attempt += 1;
        }
        retries.answered();
        attempt
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_fails_now_and_then_is_always_retried() {
        let (budget, ambient) = (Budget::default(), Ambient::system());
        for _ in 0..1000 {
            assert_eq!(attempts(&budget, &ambient, 5).await, 5);
        }
        assert_eq!(budget.0.into_inner(), Budget::CAPACITY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_is_down_gets_a_hundred_retries_and_then_one_for_five_successes() {
        let (budget, ambient) = (Budget::default(), Ambient::system());
        let mut sent = 0;
        for _ in 0..1000 {
            sent += attempts(&budget, &ambient, 0).await;
        }
        assert_eq!(sent, 1000 + 100);
        for _ in 0..4 {
            assert_eq!(attempts(&budget, &ambient, 1).await, 1);
        }
        assert_eq!(attempts(&budget, &ambient, 2).await, 1);
        assert_eq!(attempts(&budget, &ambient, 1).await, 1);
        assert_eq!(attempts(&budget, &ambient, 2).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn conflicts_take_nothing_from_the_budget() {
        let (budget, ambient) = (Budget::default(), Ambient::system());
        let mut retries = Retries::new(&budget, &ambient);
        let mut conflicts = 1;
        while retries.after_conflict().await {
            conflicts += 1;
        }
        assert_eq!((conflicts, budget.0.into_inner()), (40, Budget::CAPACITY));
    }

    #[tokio::test(start_paused = true)]
    async fn no_retry_starts_shortly_before_the_deadline() {
        let ambient = Ambient::system();
        let start = Instant::now();
        let patience = Duration::from_millis(300);
        let attempts = within(start + patience, async {
            let mut attempt = 1;
            while Backoff::CONTENTION.pause(attempt, &ambient).await {
                attempt += 1;
            }
            attempt
        });
        assert!(attempts.await < Backoff::CONTENTION.attempts);
        assert!(start.elapsed() <= patience - NEEDED);
        assert_eq!(deadline(), None);
    }
}
