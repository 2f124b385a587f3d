//! How often calls that are safe to repeat are retried, and after which pauses.

use std::time::Duration;

use switchyard_ambient::Ambient;

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
    /// For a transaction that conflicted with another writer: short pauses, many attempts, about four seconds of
    /// pauses in total.
    pub const CONTENTION: Self =
        Self { attempts: 40, base: Duration::from_millis(2), ceiling: Duration::from_millis(250) };
    /// For a call that a database did not accept: less than a second of pauses in total.
    pub const UNAVAILABLE: Self =
        Self { attempts: 6, base: Duration::from_millis(25), ceiling: Duration::from_millis(1000) };

    /// Waits before the retry that follows attempt number `attempt` (from 1). Returns `false` at once if that was
    /// the last attempt.
    pub async fn pause(&self, attempt: u32, ambient: &Ambient) -> bool {
        if attempt >= self.attempts {
            return false;
        }
        let longest = self.base.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(self.ceiling);
        tokio::time::sleep(ambient.jitter(longest)).await;
        true
    }
}
