use super::counter::{NotCounted, Turn};
use super::limit::{Quota, Window};

/// What this instance knows of a subject's window, and what it holds of the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) window: Window,
    /// The requests that this instance has allowed.
    used: u32,
    /// Those of them that the store has not counted.
    unreported: u32,
    /// Counted by the store and not used yet.
    at_hand: u32,
    /// Left in the store as of the last answer; `None` before the first.
    in_store: Option<u32>,
}

/// How requests of a limit are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The store is asked about each one.
    Exact,
    /// The first few are counted here, and the others in portions.
    InPortions,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Decided(Decision),
    /// The store has to be asked.
    Ask,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) allowed: bool,
    pub(super) remaining: u32,
}

impl Decision {
    const REFUSED: Self = Self { allowed: false, remaining: 0 };
}

/// What is reported to the store, and what is asked of it: how many requests were allowed without it, and how many more are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    unreported: u32,
    portion: u32,
}

impl Question {
    pub(super) fn requests(self) -> u32 {
        self.unreported.saturating_add(self.portion)
    }

    /// How many of the portion are granted if `sum` requests were counted, and how many are left for all.
    fn granted(self, quota: Quota, sum: u32) -> (u32, u32) {
        let before = sum.saturating_sub(self.portion);
        let granted = quota.requests().saturating_sub(before).min(self.portion);
        (granted, quota.requests().saturating_sub(sum))
    }

    /// The decision about a request that belongs to a window which has ended since.
    pub(super) fn decide(self, quota: Quota, sum: u32) -> Decision {
        match self.granted(quota, sum) {
            (0, _) => Decision::REFUSED,
            (granted, left) => Decision { allowed: true, remaining: left.saturating_add(granted - 1) },
        }
    }
}

/// The most requests of a subject that an instance allows before it asks the store for the first time.
const FIRST_FEW: u32 = 10;

impl Share {
    pub(super) fn new(window: Window) -> Self {
        Self { window, used: 0, unreported: 0, at_hand: 0, in_store: None }
    }

    /// How many requests this instance has allowed.
    pub(super) fn used(&self) -> u32 {
        self.used
    }

    /// Decides about a request without the store, if that is possible.
    pub(super) fn begin(&mut self, mode: Mode, quota: Quota) -> Step {
        if self.at_hand > 0 {
            self.at_hand -= 1;
            self.used = self.used.saturating_add(1);
            return Step::Decided(Decision { allowed: true, remaining: self.remaining(quota) });
        }
        // Nothing is returned to a window, so the store need not be asked again: a flood of requests stops here.
        if self.in_store == Some(0) || self.used >= quota.requests() {
            return Step::Decided(Decision::REFUSED);
        }
        // A quota under 40 is counted one by one. A larger one is exceeded by a fortieth for each instance at most.
        let first_few = (quota.requests() / 40).min(FIRST_FEW);
        if mode == Mode::InPortions && self.in_store.is_none() && self.used < first_few {
            return Step::Decided(self.allow_here(quota, 1));
        }
        Step::Ask
    }

    /// What to ask the store. While it is asked, another request of the subject must not tell it the same.
    pub(super) fn question(&mut self, mode: Mode, quota: Quota, turn: Turn) -> Question {
        if turn == Turn::Probing {
            return Question { unreported: 0, portion: 1 };
        }
        let portion = match mode {
            Mode::Exact => 1,
            Mode::InPortions => self.used.clamp(1, (quota.requests() / 20).max(1)),
        };
        Question { unreported: std::mem::take(&mut self.unreported), portion }
    }

    /// Decides about the request for which the store was asked. The store has counted `sum` requests.
    pub(super) fn answered(&mut self, quota: Quota, question: Question, sum: u32) -> Decision {
        let (granted, left) = question.granted(quota, sum);
        // The answer to another question may have come earlier, and be the later one.
        self.in_store = self.in_store.into_iter().chain([left]).min();
        if granted == 0 {
            return Decision::REFUSED;
        }
        self.used = self.used.saturating_add(1);
        self.at_hand = self.at_hand.saturating_add(granted - 1);
        Decision { allowed: true, remaining: self.remaining(quota) }
    }

    /// Decides about a request that the store was asked about, and did not count.
    pub(super) fn unanswered(&mut self, quota: Quota, question: Question, failure: NotCounted) -> Decision {
        match failure {
            NotCounted::Certainly => {
                self.unreported = self.unreported.saturating_add(question.unreported);
                self.decide_here(quota, 1)
            }
            // If the store has counted after all, to tell it again would use up the quota of a user whose store is slow.
            NotCounted::Perhaps => self.decide_here(quota, 0),
        }
    }

    /// Decides about a request that the store cannot be asked about: the limit then applies to this instance alone.
    pub(super) fn decide_alone(&mut self, quota: Quota) -> Decision {
        self.decide_here(quota, 1)
    }

    fn decide_here(&mut self, quota: Quota, unreported: u32) -> Decision {
        if self.used >= quota.requests() { Decision::REFUSED } else { self.allow_here(quota, unreported) }
    }

    fn allow_here(&mut self, quota: Quota, unreported: u32) -> Decision {
        self.used = self.used.saturating_add(1);
        self.unreported = self.unreported.saturating_add(unreported);
        Decision { allowed: true, remaining: self.remaining(quota) }
    }

    /// How many requests are left, as far as this instance knows.
    pub(super) fn remaining(&self, quota: Quota) -> u32 {
        let unused = quota.requests().saturating_sub(self.used);
        let in_store = self.in_store.map_or(unused, |left| left.saturating_sub(self.unreported));
        self.at_hand.saturating_add(in_store).min(unused)
    }
}

#[cfg(test)]
mod tests {
    use switchyard_ambient::Timestamp;

    use super::*;

    fn share() -> Share {
        Share::new(Window { starts_at: Timestamp::from_seconds(0), ends_at: Timestamp::from_seconds(900) })
    }

    fn quota(requests: u32) -> Quota {
        Quota::new(requests, 900).unwrap()
    }

    fn allowed(remaining: u32) -> Decision {
        Decision { allowed: true, remaining }
    }

    #[test]
    fn the_first_few_are_decided_here_and_told_to_the_store_later() {
        let (mut share, quota) = (share(), quota(1000));
        for left in (990..1000).rev() {
            assert_eq!(share.begin(Mode::InPortions, quota), Step::Decided(allowed(left)));
        }
        assert_eq!(share.begin(Mode::InPortions, quota), Step::Ask);
        let question = share.question(Mode::InPortions, quota, Turn::Trusting);
        assert_eq!(question, Question { unreported: 10, portion: 10 });
        // Another instance has used 100.
        assert_eq!(share.answered(quota, question, 120), allowed(889));
        for left in (880..889).rev() {
            assert_eq!(share.begin(Mode::InPortions, quota), Step::Decided(allowed(left)));
        }
        assert_eq!(share.begin(Mode::InPortions, quota), Step::Ask);
    }

    #[test]
    fn an_exact_limit_asks_about_the_first_request() {
        assert_eq!(share().begin(Mode::Exact, quota(1000)), Step::Ask);
        assert_eq!(share().begin(Mode::InPortions, quota(39)), Step::Ask);
    }

    #[test]
    fn a_portion_that_is_granted_in_part_ends_the_window() {
        let (mut share, quota) = (share(), quota(100));
        let question = Question { unreported: 3, portion: 5 };
        assert_eq!(share.answered(quota, question, 103), allowed(1));
        assert_eq!(share.begin(Mode::InPortions, quota), Step::Decided(allowed(0)));
        assert_eq!(share.begin(Mode::InPortions, quota), Step::Decided(Decision::REFUSED));
        assert_eq!(share.answered(quota, question, 110), Decision::REFUSED);
    }

    #[test]
    fn what_was_not_counted_is_told_again_and_what_was_perhaps_counted_is_not() {
        let (mut share, quota) = (share(), quota(1000));
        for _ in 0..10 {
            share.begin(Mode::InPortions, quota);
        }
        let question = share.question(Mode::InPortions, quota, Turn::Trusting);
        assert_eq!(share.unanswered(quota, question, NotCounted::Certainly), allowed(989));
        let question = share.question(Mode::InPortions, quota, Turn::Trusting);
        assert_eq!(question, Question { unreported: 11, portion: 11 });
        assert_eq!(share.unanswered(quota, question, NotCounted::Perhaps), allowed(988));
        // A store that is slow, and counts all the same, counts each probe as the request that it is.
        let question = share.question(Mode::InPortions, quota, Turn::Probing);
        assert_eq!(question, Question { unreported: 0, portion: 1 });
        assert_eq!(share.decide_alone(quota), allowed(987));
        let question = share.question(Mode::InPortions, quota, Turn::Trusting);
        assert_eq!(question, Question { unreported: 1, portion: 13 });
    }

    #[test]
    fn without_the_store_the_limit_applies_to_this_instance() {
        let (mut share, quota) = (share(), quota(3));
        for left in [2, 1, 0] {
            assert_eq!(share.begin(Mode::Exact, quota), Step::Ask);
            assert_eq!(share.decide_alone(quota), allowed(left));
        }
        assert_eq!(share.begin(Mode::Exact, quota), Step::Decided(Decision::REFUSED));
    }
}
