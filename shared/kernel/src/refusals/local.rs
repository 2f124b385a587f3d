use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchyard_ambient::Timestamp;

use super::WINDOW;

/// The number of subjects to remember, and therefore of entries in a window.
pub(super) const MAX_SUBJECTS: usize = 1_000;

/// How long a database is left alone that did not answer.
const PAUSE: Duration = Duration::from_secs(10);

/// The attempts that this process has seen in their present windows.
#[derive(Debug, Default)]
pub(crate) struct LocalCounts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    subjects: HashMap<String, Attempts>,
    paused_until: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Attempts {
    since: Timestamp,
    /// Attempts that were reported to the database, besides the first.
    reported: i64,
    /// Attempts that were not.
    unreported: i64,
}

/// What has to be reported to the database about an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// It is the first in a window. Of those before, `earlier` were not reported.
    Open {
        earlier: i64,
    },
    /// So many have come since the last report.
    Count(i64),
}

impl LocalCounts {
    /// Notes an attempt.
    pub(super) fn step(&self, subject: &str, now: Timestamp) -> Step {
        let mut state = self.lock();
        if state.paused_until.is_some_and(|until| now < until) {
            return Step::Nothing;
        }
        if let Some(attempts) = state.subjects.get_mut(subject) {
            if now < attempts.since + WINDOW {
                attempts.unreported += 1;
                // Each of the first few, then whenever their number has grown by an eighth.
                if attempts.unreported < (attempts.reported / 8).max(1) {
                    return Step::Nothing;
                }
                let unreported = std::mem::take(&mut attempts.unreported);
                attempts.reported += unreported;
                return Step::Count(unreported);
            }
            let earlier = attempts.unreported;
            *attempts = Attempts { since: now, reported: 0, unreported: 0 };
            return Step::Open { earlier };
        }
        if state.subjects.len() >= MAX_SUBJECTS {
            state.subjects.retain(|_, attempts| now < attempts.since + WINDOW);
            if state.subjects.len() >= MAX_SUBJECTS {
                return Step::Nothing;
            }
        }
        state.subjects.insert(subject.to_owned(), Attempts { since: now, reported: 0, unreported: 0 });
        Step::Open { earlier: 0 }
    }

    /// Lets a database alone that does not answer.
    pub(super) fn pause(&self, now: Timestamp) {
        self.lock().paused_until = Some(now + PAUSE);
    }

    // The state is consistent even if a thread panicked while it held the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    #[test]
    fn the_first_few_attempts_are_reported_and_then_each_growth_by_an_eighth() {
        let counts = LocalCounts::default();
        assert_eq!(counts.step("a", NOW), Step::Open { earlier: 0 });
        assert!((0..16).all(|_| counts.step("a", NOW) == Step::Count(1)));
        let steps: Vec<_> = (0..3).map(|_| counts.step("a", NOW)).collect();
        assert_eq!(steps, [Step::Nothing, Step::Count(2), Step::Nothing]);
        assert_eq!(counts.step("a", NOW + WINDOW), Step::Open { earlier: 1 });
        assert_eq!(counts.step("a", NOW + WINDOW), Step::Count(1));
    }

    #[test]
    fn a_flood_from_many_addresses_writes_a_bounded_number_of_entries() {
        let counts = LocalCounts::default();
        let opened = |from: usize, now| {
            let steps = (from..from + 3 * MAX_SUBJECTS).map(|n| counts.step(&n.to_string(), now));
            steps.filter(|step| *step == Step::Open { earlier: 0 }).count()
        };
        assert_eq!(opened(0, NOW), MAX_SUBJECTS);
        assert_eq!(opened(10_000, NOW), 0);
        assert_eq!(opened(20_000, NOW + WINDOW), MAX_SUBJECTS);
    }

    #[test]
    fn a_database_that_does_not_answer_is_left_alone_for_a_while() {
        let counts = LocalCounts::default();
        counts.pause(NOW);
        assert_eq!(counts.step("a", NOW), Step::Nothing);
        assert_eq!(counts.step("a", NOW + PAUSE), Step::Open { earlier: 0 });
    }
}
