use std::time::Duration;

use switchyard_ambient::Ambient;

const SECOND: u64 = 1;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// When a job that failed is tried again, and when no longer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    pauses: Pauses,
    /// The number of attempts, including the first one.
    pub attempts: u32,
    /// How long after it was due a job is given up at the latest, also if it was not attempted.
    pub give_up_after: Option<Duration>,
    /// Whether jobs of the kind depend on a service of others. While it is down, they are put off without an attempt.
    pub needs_provider: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Pauses {
    /// `base · 2ⁿ⁻¹`, at most `ceiling`, of which a random half is left out.
    Growing { base: Duration, ceiling: Duration },
    /// These, in seconds, each longer or shorter by up to a tenth.
    Listed(&'static [u64]),
}

impl Retry {
    /// For what fails rarely and is mended soon, such as a conflict: ten attempts within half an hour.
    pub const QUICK: Self = Self::growing(2 * SECOND, 5 * MINUTE, 10);
    /// For what depends on a provider: up to thirty attempts within 20 hours. A provider that knows idempotency keys
    /// remembers them for a day.
    pub const PROVIDER: Self =
        Self::growing(15 * SECOND, HOUR, 30).giving_up_after(20 * HOUR).depending_on_provider();
    /// For calls of other people's servers: over four days.
    pub const WEBHOOK: Self = Self {
        pauses: Pauses::Listed(&[
            5 * SECOND,
            5 * MINUTE,
            30 * MINUTE,
            2 * HOUR,
            5 * HOUR,
            10 * HOUR,
            14 * HOUR,
            20 * HOUR,
            24 * HOUR,
        ]),
        attempts: 10,
        give_up_after: None,
        needs_provider: false,
    };
    /// One attempt.
    pub const NEVER: Self = Self::growing(SECOND, SECOND, 1);

    /// Pauses of `base` seconds that double with each attempt, up to `ceiling` seconds.
    pub const fn growing(base: u64, ceiling: u64, attempts: u32) -> Self {
        let (base, ceiling) = (Duration::from_secs(base), Duration::from_secs(ceiling));
        Self {
            pauses: Pauses::Growing { base, ceiling },
            attempts,
            give_up_after: None,
            needs_provider: false,
        }
    }

    /// Gives a job up this many seconds after it was due.
    #[must_use]
    pub const fn giving_up_after(mut self, seconds: u64) -> Self {
        self.give_up_after = Some(Duration::from_secs(seconds));
        self
    }

    /// Puts jobs off without an attempt while the service that they depend on is down.
    #[must_use]
    pub const fn depending_on_provider(mut self) -> Self {
        self.needs_provider = true;
        self
    }

    /// The pause after attempt number `attempt`, from 1.
    pub(crate) fn pause(&self, attempt: u32, ambient: &Ambient) -> Duration {
        match self.pauses {
            Pauses::Growing { base, ceiling } => {
                growing_pause(base, attempt.saturating_sub(1), ceiling, ambient)
            }
            Pauses::Listed(seconds) => {
                let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
                let listed = seconds.get(index).or(seconds.last()).copied().unwrap_or(SECOND);
                let tenth = Duration::from_secs(listed) / 10;
                Duration::from_secs(listed) - tenth + ambient.jitter(tenth * 2)
            }
        }
    }
}

/// A pause of `base · 2ⁿ`, at most `ceiling`, of which a random half is left out.
pub(crate) fn growing_pause(base: Duration, n: u32, ceiling: Duration, ambient: &Ambient) -> Duration {
    let longest = doubled(base, n, ceiling);
    longest / 2 + ambient.jitter(longest / 2)
}

/// `base · 2ⁿ`, at most `ceiling`.
pub(crate) fn doubled(base: Duration, n: u32, ceiling: Duration) -> Duration {
    base.saturating_mul(1_u32.checked_shl(n).unwrap_or(u32::MAX)).min(ceiling)
}

#[cfg(test)]
mod tests {
    use switchyard_ambient::{ManualClock, SeededRandomness, Timestamp};

    use super::*;

    fn pauses(retry: Retry, attempts: impl Iterator<Item = u32>) -> Vec<(f64, f64)> {
        let ambient = Ambient::new(ManualClock::at(Timestamp::default()), SeededRandomness::new(1));
        let bounds = |attempt| {
            let drawn: Vec<_> = (0..1_000).map(|_| retry.pause(attempt, &ambient).as_secs_f64()).collect();
            let round = |seconds: f64| (seconds * 10.0).round() / 10.0;
            (
                round(drawn.iter().copied().fold(f64::MAX, f64::min)),
                round(drawn.iter().copied().fold(0.0, f64::max)),
            )
        };
        attempts.map(bounds).collect()
    }

    #[test]
    fn pauses_double_up_to_the_ceiling_and_a_random_half_is_left_out() {
        let expected = [(1.0, 2.0), (2.0, 4.0), (4.0, 8.0)];
        assert_eq!(pauses(Retry::QUICK, 1..=3), expected);
        for (shortest, longest) in pauses(Retry::QUICK, [9, 40, u32::MAX].into_iter()) {
            assert!(
                (150.0..=150.5).contains(&shortest) && (299.5..=300.0).contains(&longest),
                "{shortest} {longest}"
            );
        }
    }

    #[test]
    fn listed_pauses_differ_by_a_tenth_and_the_last_one_is_repeated() {
        assert_eq!(pauses(Retry::WEBHOOK, 1..=1), [(4.5, 5.5)]);
        for (shortest, longest) in pauses(Retry::WEBHOOK, 9..=11) {
            let day = 86_400.0;
            assert!((0.9 * day..0.901 * day).contains(&shortest), "{shortest}");
            assert!((1.099 * day..=1.1 * day).contains(&longest), "{longest}");
        }
    }
}
