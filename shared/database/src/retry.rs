//! How often, and after which pause, what is safe to repeat is repeated.

use std::time::Duration;

use switchyard_ambient::Ambient;

/// Exponential back-off with full jitter: before the n-th repetition a random pause of up to `base · 2ⁿ⁻¹`, never more
/// than `ceiling` (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Tries in all, the first one counted.
    pub attempts: u32,
    /// The longest pause before the first repetition.
    pub base: Duration,
    /// The longest pause of all.
    pub ceiling: Duration,
}

impl Backoff {
    /// Of a transaction that lost against another writer: short pauses, many tries, some four seconds of pauses in all.
    pub const CONTENTION: Self =
        Self { attempts: 40, base: Duration::from_millis(2), ceiling: Duration::from_millis(250) };
    /// Of a call that a database did not take: less than a second of pauses in all.
    pub const UNAVAILABLE: Self =
        Self { attempts: 6, base: Duration::from_millis(25), ceiling: Duration::from_millis(1000) };

    /// Waits before the repetition that follows try number `attempt` (from 1); `false` when that was the last.
    pub async fn pause(&self, attempt: u32, ambient: &Ambient) -> bool {
        if attempt >= self.attempts {
            return false;
        }
        let longest = self.base.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(self.ceiling);
        tokio::time::sleep(ambient.jitter(longest)).await;
        true
    }
}
