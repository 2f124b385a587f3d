use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchyard_ambient::Ambient;
use switchyard_database::retry;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// The part of the time until its deadline that a caller may wait for its turn: a fifth. With the default
/// `REQUEST_TIMEOUT` this is 5 seconds, after which many people have given up or tried again.
const WAIT_SHARE: u32 = 5;
/// How long a caller without a deadline has, such as a command of an operator.
const WITHOUT_DEADLINE: Duration = Duration::from_secs(25);
/// The shortest duration that a turn is expected to have, which bounds the queue if turns are shorter.
const SHORTEST: Duration = Duration::from_millis(1);
/// Callers that are refused are told to come back after 1 to 10 seconds, at random: a full queue is empty by then, and those
/// who were refused together do not return together.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_JITTER: Duration = Duration::from_secs(9);

/// Whose share of the turns a caller uses.
///
/// While callers of both wait, every second turn goes to each. So strangers who guess passwords as fast as they can delay
/// known callers by one turn, and never keep them out of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// Callers who have proved that they signed in before, and the program itself.
    Known,
    /// Everybody else.
    Anyone,
}

/// More callers wait than can be served in time, or the caller's deadline is too near. Nothing was done for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more passwords wait to be hashed than can be hashed in time")]
pub(crate) struct Busy {
    /// When the caller may try again.
    pub(crate) retry_after: Duration,
}

/// The queue for turns at a processor.
///
/// It is bounded by time: a caller is refused at once if, at the pace of the latest turns, its turn would not come within a
/// share of the time until its [`deadline`](retry::deadline), or would end after it.
#[derive(Debug)]
pub(super) struct Queue {
    at_once: u32,
    ambient: Ambient,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The turns that nobody has. While there are any, nobody waits.
    free: u32,
    known: Waiting,
    anyone: Waiting,
    /// The share whose caller was served last, of those that waited.
    served: Share,
    next_ticket: u64,
    /// How long a turn takes: a moving average, which follows the machine and its load.
    expected: Duration,
}

/// Those who wait, in the order in which they came.
type Waiting = BTreeMap<u64, oneshot::Sender<()>>;

/// A turn at a processor. Work that runs under it returns it, so that the caller can do more work before it is the turn of
/// others. The next caller gets it when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    queue: Arc<Queue>,
    worked: Duration,
}

/// The thread that works has ended because the program is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the password hasher has stopped")]
pub(crate) struct HasherStopped;

impl Turn {
    /// Runs `work` on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, Self), HasherStopped> {
        // The turn lasts until the work is done, even if the caller is dropped.
        let task = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let done = work();
            self.worked += begun.elapsed();
            (done, self)
        });
        task.await.map_err(|_| HasherStopped)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.learn(self.worked);
        state.pass_on();
    }
}

/// A place in the queue. The caller leaves the queue when it is dropped.
struct Place<'q> {
    queue: &'q Queue,
    share: Share,
    ticket: u64,
    granted: oneshot::Receiver<()>,
    /// Whether the turn that was granted, if any, has an owner.
    is_taken: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        let waited = state.waiting(self.share).remove(&self.ticket).is_some();
        if !waited && !self.is_taken {
            state.pass_on(); // the turn was granted to a caller that has left
        }
    }
}

impl Queue {
    /// A queue for `at_once` turns at a time, each of which is expected to take this long until turns were measured.
    pub(super) fn new(at_once: usize, expected: Duration, ambient: Ambient) -> Arc<Self> {
        let at_once = u32::try_from(at_once).unwrap_or(u32::MAX).max(1);
        let state = State {
            free: at_once,
            known: Waiting::new(),
            anyone: Waiting::new(),
            served: Share::Anyone,
            next_ticket: 0,
            expected: expected.max(SHORTEST),
        };
        Arc::new(Self { at_once, ambient, state: Mutex::new(state) })
    }

    /// Waits for a turn.
    ///
    /// # Errors
    ///
    /// [`Busy`] at once if the wait would be too long, and later if it was longer than expected. In both cases the caller is
    /// not in the queue, and has no turn.
    pub(super) async fn turn(self: &Arc<Self>, share: Share) -> Result<Turn, Busy> {
        let deadline = retry::deadline();
        let turn = || Turn { queue: Arc::clone(self), worked: Duration::ZERO };
        let Some(mut place) = self.enter(share, deadline)? else { return Ok(turn()) };
        let is_granted = match deadline {
            Some(deadline) => {
                let latest = deadline.checked_sub(self.state().expected).unwrap_or(deadline);
                let granted = timeout_at(latest, &mut place.granted).await;
                // A task that was not run for a while finds its turn and learns that it is too late.
                granted.is_ok() && Instant::now() <= latest
            }
            None => (&mut place.granted).await.is_ok(),
        };
        if !is_granted {
            return Err(self.busy());
        }
        place.is_taken = true;
        Ok(turn())
    }

    /// Takes a free turn, or else a place in the queue.
    fn enter(&self, share: Share, deadline: Option<Instant>) -> Result<Option<Place<'_>>, Busy> {
        let now = Instant::now();
        let left = deadline.map_or(WITHOUT_DEADLINE, |deadline| deadline.saturating_duration_since(now));
        let mut state = self.state();
        if state.free > 0 {
            if state.expected > left {
                // An expectation that is wrong is corrected by turns, and must not prevent all of them.
                let lower = state.expected * 7 / 8;
                state.expect(lower);
                drop(state);
                return Err(self.busy());
            }
            state.free -= 1;
            return Ok(None);
        }
        let wait = state.expected * state.turns_before(share).saturating_add(1) / self.at_once;
        if wait > left / WAIT_SHARE || wait + state.expected > left {
            drop(state);
            return Err(self.busy());
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let (grant, granted) = oneshot::channel();
        state.waiting(share).insert(ticket, grant);
        Ok(Some(Place { queue: self, share, ticket, granted, is_taken: false }))
    }

    fn busy(&self) -> Busy {
        Busy { retry_after: RETRY_AFTER + self.ambient.jitter(RETRY_JITTER) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waiting(&mut self, share: Share) -> &mut Waiting {
        match share {
            Share::Known => &mut self.known,
            Share::Anyone => &mut self.anyone,
        }
    }

    /// How many of those who wait now get their turn before a caller who comes now.
    fn turns_before(&self, share: Share) -> u32 {
        let (own, other) = match share {
            Share::Known => (self.known.len(), self.anyone.len()),
            Share::Anyone => (self.anyone.len(), self.known.len()),
        };
        u32::try_from(own + other.min(own + 1)).unwrap_or(u32::MAX)
    }

    /// Gives a turn that has ended to the next caller who waits.
    fn pass_on(&mut self) {
        let share = match (self.known.is_empty(), self.anyone.is_empty()) {
            (true, true) => {
                self.free += 1;
                return;
            }
            (true, false) => Share::Anyone,
            (false, true) => Share::Known,
            (false, false) => match self.served {
                Share::Known => Share::Anyone,
                Share::Anyone => Share::Known,
            },
        };
        self.served = share;
        if let Some((_, grant)) = self.waiting(share).pop_first() {
            // A caller takes its ticket with it when it leaves, so this one is still there.
            let _ = grant.send(());
        }
    }

    fn learn(&mut self, worked: Duration) {
        if worked.is_zero() {
            return;
        }
        // The machine may have been suspended in the middle of a turn, which says nothing about the next one.
        let worked = worked.min(self.expected * 4);
        self.expect((self.expected * 7 + worked) / 8);
    }

    fn expect(&mut self, expected: Duration) {
        self.expected = expected.max(SHORTEST);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use switchyard_ambient::{ManualClock, SeededRandomness, Timestamp};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn queue(at_once: usize, expected: Duration) -> Arc<Queue> {
        let ambient = Ambient::new(ManualClock::at(Timestamp::from_micros(0)), SeededRandomness::new(1));
        Queue::new(at_once, expected, ambient)
    }

    /// A caller that waits. It has a turn or was refused if this panics.
    macro_rules! waits {
        ($queue:expr, $share:ident) => {{
            let mut turn = Box::pin($queue.turn(Share::$share));
            assert!(turn.as_mut().now_or_never().is_none());
            turn
        }};
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_whose_wait_would_be_too_long_is_refused_at_once() {
        let queue = queue(2, SECOND);
        let _turns = [queue.turn(Share::Anyone).await.unwrap(), queue.turn(Share::Anyone).await.unwrap()];
        // Two turns of a second end in each second, so ten callers wait for up to five.
        let waiting: Vec<_> = (0..10).map(|_| waits!(queue, Anyone)).collect();
        let refused = queue.turn(Share::Anyone).now_or_never().unwrap().unwrap_err();
        assert!((SECOND..=SECOND * 10).contains(&refused.retry_after));
        // Less time is left: three callers in 1.6 seconds.
        drop(waiting);
        retry::within(Instant::now() + SECOND * 8, async {
            let _waiting: Vec<_> = (0..3).map(|_| waits!(queue, Anyone)).collect();
            assert!(queue.turn(Share::Anyone).now_or_never().unwrap().is_err());
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_are_refused_together_do_not_return_together() {
        let queue = queue(1, SECOND * 60);
        let refusals: std::collections::BTreeSet<u64> =
            futures::future::join_all((0..100).map(|_| queue.turn(Share::Anyone)))
                .await
                .into_iter()
                .filter_map(Result::err)
                .map(|busy| busy.retry_after.as_secs())
                .collect();
        assert!(refusals.len() >= 8, "{refusals:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_leaves_makes_room() {
        let queue = queue(1, SECOND);
        let turn = queue.turn(Share::Anyone).await.unwrap();
        let mut waiting: Vec<_> = (0..5).map(|_| waits!(queue, Anyone)).collect();
        assert!(queue.turn(Share::Anyone).now_or_never().unwrap().is_err());
        drop(waiting.remove(2));
        let last = waits!(queue, Anyone);
        // The first one leaves after it got its turn, and before it learns that.
        drop(turn);
        drop(waiting.remove(0));
        let second = waiting.remove(0).now_or_never().unwrap().unwrap();
        drop(waiting);
        drop(second);
        drop(last.now_or_never().unwrap().unwrap());
        assert_eq!(queue.state().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn known_callers_have_every_second_turn_and_their_own_places() {
        let queue = queue(1, SECOND);
        let mut turn = queue.turn(Share::Anyone).await.unwrap();
        let anyone: Vec<_> = (0..5).map(|_| waits!(queue, Anyone)).collect();
        assert!(queue.turn(Share::Anyone).now_or_never().unwrap().is_err());
        let known: Vec<_> = (0..2).map(|_| waits!(queue, Known)).collect();
        assert!(queue.turn(Share::Known).now_or_never().unwrap().is_err(), "three and three before it");
        let (mut known, mut anyone) = (known.into_iter(), anyone.into_iter());
        for is_known in [true, false, true, false, false] {
            let next = if is_known { known.next() } else { anyone.next() };
            drop(turn);
            turn = next.unwrap().now_or_never().expect("it is their turn").unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_whose_deadline_cannot_be_met_gets_no_turn() {
        let queue = queue(1, SECOND);
        let now = Instant::now();
        for deadline in [now - SECOND, now, now + SECOND / 2] {
            assert!(retry::within(deadline, queue.turn(Share::Known)).await.is_err());
        }
        // Each of them has lowered the expectation a little.
        assert!(retry::within(now + SECOND * 7 / 10, queue.turn(Share::Known)).await.is_ok());

        let turn = retry::within(now + SECOND, queue.turn(Share::Anyone)).await.unwrap();
        let expected = queue.state().expected;
        let waited = retry::within(now + SECOND * 10, queue.turn(Share::Anyone)).await;
        assert!(waited.is_err(), "the turn took longer than expected");
        // It does not wait for a turn that is too late. Timers have a resolution of a millisecond.
        let latest = SECOND * 10 - expected;
        assert!((latest..latest + Duration::from_millis(2)).contains(&now.elapsed()), "{:?}", now.elapsed());
        // Nor does it take a turn that it learns of too late.
        let now = Instant::now();
        let mut late = Box::pin(retry::within(now + SECOND * 10, queue.turn(Share::Anyone)));
        assert!(late.as_mut().now_or_never().is_none());
        drop(turn);
        tokio::time::advance(SECOND * 20).await;
        assert!(late.await.is_err());
        assert_eq!(queue.state().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_expectation_follows_the_turns_and_is_not_upset_by_one() {
        let queue = queue(1, SECOND);
        let learn = |worked| {
            queue.state().learn(worked);
            queue.state().expected
        };
        assert_eq!(learn(SECOND * 3600), SECOND * 11 / 8);
        for _ in 0..50 {
            learn(SECOND / 10);
        }
        let expected = queue.state().expected;
        assert!((SECOND / 10..SECOND / 8).contains(&expected), "{expected:?}");
        assert_eq!(learn(Duration::ZERO), expected, "a turn without work says nothing");
    }

    #[tokio::test]
    async fn the_work_of_a_turn_is_measured() {
        let queue = queue(1, SECOND);
        let turn = queue.turn(Share::Known).await.unwrap();
        let ((), turn) = turn.run(|| std::thread::sleep(Duration::from_millis(5))).await.unwrap();
        drop(turn);
        let expected = queue.state().expected;
        assert!((SECOND * 7 / 8..SECOND).contains(&expected), "{expected:?}");
    }
}
