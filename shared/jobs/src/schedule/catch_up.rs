use std::iter::successors;
use std::time::Duration;

use switchyard_ambient::Timestamp;

use super::CronExpression;

/// The most ticks that are counted, or run at once.
pub const MAX_TICKS: usize = 1_000;

/// Workers look for ticks at least once a minute. A tick that is older than twice that was missed.
const ON_TIME: Duration = Duration::from_secs(120);

/// Which ticks run after a time in which no worker ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// The latest tick.
    #[default]
    Latest,
    /// None: a tick runs within two minutes, or not at all.
    None,
    /// The latest ticks, up to this number, and up to [`MAX_TICKS`].
    All(usize),
}

/// The ticks of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The latest tick.
    pub latest: Timestamp,
    /// How many ticks there are, or [`MAX_TICKS`] if there are more.
    pub count: usize,
}

/// What is to run of the ticks of an interval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The ticks to run, the earliest first.
    pub ticks: Vec<Timestamp>,
    /// How many ticks of the interval are not run. Ticks are counted up to [`MAX_TICKS`].
    pub skipped: usize,
}

impl CronExpression {
    /// Returns the latest tick after `after` and until `until` inclusive, and how many there are. Returns `None` if
    /// there are none.
    ///
    /// The work is bounded: it does not grow with the number of ticks beyond [`MAX_TICKS`].
    pub fn missed(&self, after: Timestamp, until: Timestamp) -> Option<Missed> {
        let latest = self.latest(after, until)?;
        let ticks = successors(self.next_after(after), |&tick| self.next_after(tick));
        let count = ticks.take_while(|&tick| tick <= latest).take(MAX_TICKS).count();
        Some(Missed { latest, count })
    }

    /// Returns which of the ticks after `after` and until `until` inclusive are to run, if the workers looked last at
    /// `after` and look again at `until`.
    pub fn due(&self, after: Timestamp, until: Timestamp, catch_up: CatchUp) -> Due {
        let Some(missed) = self.missed(after, until) else {
            return Due::default();
        };
        let most = match catch_up {
            CatchUp::Latest => 1,
            CatchUp::None => usize::from(until - missed.latest <= ON_TIME),
            CatchUp::All(most) => most.min(MAX_TICKS),
        };
        let before = |tick: Timestamp| tick - Duration::from_secs(1);
        let latest_first = successors(Some(missed.latest), |&tick| self.latest(after, before(tick)));
        let mut ticks: Vec<Timestamp> = latest_first.take(most).collect();
        ticks.reverse();
        Due { skipped: missed.count - ticks.len(), ticks }
    }

    /// The latest tick after `after` and until `until` inclusive, by bisection.
    fn latest(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let next_after = |after: i64| {
            let next = self.next_after(Timestamp::from_seconds(after))?;
            (next <= until).then_some(next.as_seconds())
        };
        let mut latest = next_after(after.as_seconds())?;
        let mut end = until.as_seconds();
        // The latest tick lies between the two, or is one of them.
        while latest < end {
            let middle = latest + (end - latest) / 2; // never `end`
            match next_after(middle) {
                Some(tick) => latest = tick,
                None => end = middle,
            }
        }
        Some(Timestamp::from_seconds(latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// At 07:00 in Lagos, which is 06:00 in UTC all year.
    fn daily() -> CronExpression {
        CronExpression::parse("0 7 * * *", "Africa/Lagos").unwrap()
    }

    fn every_minute() -> CronExpression {
        CronExpression::parse("* * * * *", "UTC").unwrap()
    }

    #[test]
    fn the_ticks_after_the_beginning_and_until_the_end_inclusive_are_missed() {
        let missed = |after, until| daily().missed(time(after), time(until));
        let latest = |text, count| Some(Missed { latest: time(text), count });
        assert_eq!(missed("2026-03-01T06:00:00Z", "2026-03-02T05:59:59.999Z"), None);
        assert_eq!(missed("2026-03-01T06:00:00Z", "2026-03-02T06:00:00Z"), latest("2026-03-02T06:00:00Z", 1));
        assert_eq!(
            missed("2026-03-01T05:59:59.999Z", "2026-03-04T12:00:00Z"),
            latest("2026-03-04T06:00:00Z", 4)
        );
        assert_eq!(missed("2026-03-04T12:00:00Z", "2026-03-01T00:00:00Z"), None);
        assert_eq!(missed("1969-12-30T12:00:00Z", "1970-01-01T00:00:00Z"), latest("1969-12-31T06:00:00Z", 1));
    }

    #[test]
    fn ticks_are_counted_up_to_a_thousand_and_the_latest_is_exact_beyond() {
        let missed = |until| every_minute().missed(time("2016-01-01T00:00:00Z"), time(until));
        let latest = |text, count| Some(Missed { latest: time(text), count });
        assert_eq!(missed("2016-01-01T16:39:00Z"), latest("2016-01-01T16:39:00Z", 999));
        assert_eq!(missed("2016-01-01T16:40:59Z"), latest("2016-01-01T16:40:00Z", 1_000));
        assert_eq!(missed("2016-01-01T16:41:00Z"), latest("2016-01-01T16:41:00Z", 1_000));
        assert_eq!(missed("2026-05-06T07:08:09Z"), latest("2026-05-06T07:08:00Z", 1_000));
    }

    #[test]
    fn an_interval_that_does_not_end_has_a_latest_tick_too() {
        let missed = daily().missed(time("2026-01-01T00:00:00Z"), Timestamp::from_micros(i64::MAX)).unwrap();
        assert_eq!(missed, Missed { latest: time("9991-01-01T06:00:00Z"), count: 1_000 });
    }

    #[test]
    fn the_way_to_catch_up_decides_which_of_five_missed_ticks_run() {
        let due =
            |catch_up| daily().due(time("2026-03-01T07:00:00Z"), time("2026-03-06T07:00:00Z"), catch_up);
        let day = |day: u32| time(&format!("2026-03-0{day}T06:00:00Z"));
        assert_eq!(due(CatchUp::Latest), Due { ticks: vec![day(6)], skipped: 4 });
        assert_eq!(due(CatchUp::None), Due { ticks: vec![], skipped: 5 });
        assert_eq!(due(CatchUp::All(0)), Due { ticks: vec![], skipped: 5 });
        assert_eq!(due(CatchUp::All(2)), Due { ticks: vec![day(5), day(6)], skipped: 3 });
        let all: Vec<_> = (2..=6).map(day).collect();
        assert_eq!(due(CatchUp::All(5)), Due { ticks: all.clone(), skipped: 0 });
        assert_eq!(due(CatchUp::All(usize::MAX)), Due { ticks: all, skipped: 0 });
    }

    #[test]
    fn a_tick_of_the_last_two_minutes_runs_however_missed_ticks_are_caught_up() {
        let due = |until, catch_up| daily().due(time("2026-02-20T00:00:00Z"), time(until), catch_up);
        let on_time = Due { ticks: vec![time("2026-03-01T06:00:00Z")], skipped: 9 };
        assert_eq!(due("2026-03-01T06:02:00Z", CatchUp::None), on_time);
        assert_eq!(due("2026-03-01T06:02:00Z", CatchUp::Latest), on_time);
        assert_eq!(due("2026-03-01T06:02:01Z", CatchUp::None), Due { ticks: vec![], skipped: 10 });
    }

    #[test]
    fn nothing_is_due_before_the_first_tick() {
        for catch_up in [CatchUp::Latest, CatchUp::None, CatchUp::All(3)] {
            let due = daily().due(time("2026-03-01T06:00:00Z"), time("2026-03-01T23:00:00Z"), catch_up);
            assert_eq!(due, Due::default());
        }
    }

    #[test]
    fn the_ticks_that_run_are_at_most_a_thousand() {
        let due = every_minute().due(
            time("2016-01-01T00:00:00Z"),
            time("2026-01-01T00:00:30Z"),
            CatchUp::All(usize::MAX),
        );
        assert_eq!(due.ticks.len(), MAX_TICKS);
        assert_eq!(due.ticks[0], time("2025-12-31T07:21:00Z"));
        assert_eq!(due.ticks[999], time("2026-01-01T00:00:00Z"));
        assert_eq!(due.skipped, 0); // as far as ticks are counted
    }
}
