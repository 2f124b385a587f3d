//! Providers that are down: their jobs wait without an attempt, and one asks now and then.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use switchyard_ambient::{Ambient, Timestamp};

use crate::Priority;
use crate::job::{doubled, growing_pause};

/// The failures in a row after which a provider counts as down.
const FAILURES: u32 = 5;
/// The pause before the first job asks whether it is up again, and the longest pause.
const FIRST_PROBE: Duration = Duration::from_secs(30);
const SLOWEST_PROBE: Duration = Duration::from_secs(5 * 60);
/// The first pause of a job that is put off, and the longest one of an urgent and of another job.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_URGENT_PAUSE: Duration = Duration::from_secs(10 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The breakers of a worker, one for each kind.
#[derive(Debug, Default)]
pub(crate) struct Breakers(Mutex<HashMap<String, Breaker>>);

#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    /// When a job may ask again, once the provider counts as down.
    probe_at: Option<Timestamp>,
    probes: u32,
}

impl Breakers {
    /// Whether a job of this kind may be attempted. While the provider is down, one job may at a time.
    pub(crate) fn permits(&self, kind: &str, now: Timestamp) -> bool {
        let mut breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(breaker) = breakers.get_mut(kind) else { return true };
        match breaker.probe_at {
            None => true,
            Some(at) if at > now => false,
            Some(_) => {
                breaker.wait_for_probe(now);
                true
            }
        }
    }

    /// Notes the result of an attempt: whether the provider answered.
    pub(crate) fn note(&self, kind: &str, has_answered: bool, now: Timestamp) {
        let mut breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if has_answered {
            breakers.remove(kind);
            return;
        }
        let breaker = breakers.entry(kind.to_owned()).or_default();
        breaker.failures = breaker.failures.saturating_add(1);
        if breaker.failures >= FAILURES && breaker.probe_at.is_none() {
            breaker.wait_for_probe(now);
            tracing::warn!(kind, "the provider counts as down, and jobs of this kind are put off");
        }
    }
}

impl Breaker {
    fn wait_for_probe(&mut self, now: Timestamp) {
        self.probe_at = Some(now + doubled(FIRST_PROBE, self.probes, SLOWEST_PROBE));
        self.probes = self.probes.saturating_add(1);
    }
}

/// How long a job that was put off `parked` times waits.
pub(crate) fn pause(parked: u32, priority: Priority, ambient: &Ambient) -> Duration {
    let ceiling = if priority == Priority::Urgent { LONGEST_URGENT_PAUSE } else { LONGEST_PAUSE };
    growing_pause(FIRST_PAUSE, parked, ceiling, ambient)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn after_five_failures_in_a_row_one_job_asks_at_a_time_and_ever_more_rarely() {
        let breakers = Breakers::default();
        for _ in 0..4 {
            breakers.note("mail", false, at(0));
        }
        assert!(breakers.permits("mail", at(0)));
        breakers.note("mail", false, at(0));
        assert!(!breakers.permits("mail", at(29)));
        assert!(breakers.permits("push", at(29)), "other kinds are not concerned");
        assert!(breakers.permits("mail", at(30)));
        assert!(!breakers.permits("mail", at(30)), "one at a time");
        breakers.note("mail", false, at(31));
        assert!(!breakers.permits("mail", at(89)));
        assert!(breakers.permits("mail", at(90)));
        breakers.note("mail", true, at(91));
        assert!(breakers.permits("mail", at(91)) && breakers.permits("mail", at(91)));
    }

    #[test]
    fn an_answer_in_between_begins_the_count_again() {
        let breakers = Breakers::default();
        for answered in [false, false, false, false, true, false] {
            breakers.note("mail", answered, at(0));
        }
        assert!(breakers.permits("mail", at(0)));
    }

    #[test]
    fn urgent_jobs_wait_ten_minutes_at_most_and_others_an_hour() {
        let ambient = Ambient::system();
        for parked in [20, u32::MAX] {
            assert!((300..=600).contains(&pause(parked, Priority::Urgent, &ambient).as_secs()));
            assert!((1_800..=3_600).contains(&pause(parked, Priority::Bulk, &ambient).as_secs()));
        }
        assert!((15..=30).contains(&pause(0, Priority::Urgent, &ambient).as_secs()));
    }
}
