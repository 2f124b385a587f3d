//! Compares ticks with those of a slow reading of the rules, which looks at every minute.

mod clock;
mod expression;

use std::iter::successors;

use jiff::civil::{Date as CivilDate, Time};
use jiff::{SignedDuration, Timestamp as Instant, ToSpan};
use proptest::prelude::*;
use proptest::sample::Index;
use switchyard_ambient::Timestamp;

use super::{CronExpression, CronFault};
use clock::{CHANGES, Change, Clock, rules};
use expression::{Date, expressions};

/// The minutes of an hour.
const HOUR: i64 = 60;
/// The minutes of a day.
const DAY: i64 = 24 * HOUR;

fn ticks(expression: &CronExpression, after: i64) -> impl Iterator<Item = i64> {
    let ticks = successors(expression.next_after(Timestamp::from_seconds(after)), |&tick| {
        expression.next_after(tick)
    });
    ticks.map(|tick| tick.as_seconds())
}

proptest! {
    #[test]
    fn ticks_around_a_change_of_the_clock_are_those_of_a_slow_reading_of_the_rules(
        expression in expressions(),
        change in any::<Index>(),
        seconds_before in 0..30 * 60 * 60_i64,
    ) {
        let Change { zone, minute } = change.get(&CHANGES);
        let cron = CronExpression::parse(&expression.text(), zone);
        prop_assume!(cron.is_ok());
        let cron = cron.unwrap();

        let begin = minute * 60 - seconds_before;
        let end = (minute + 30 * HOUR) * 60;
        let expected = Clock::of(zone, minute - 60 * HOUR, minute + 60 * HOUR).ticks(&expression);
        let expected = expected.into_iter().map(|minute| minute * 60).filter(|&tick| begin < tick && tick <= end);
        let expected: Vec<i64> = expected.take(200).collect();

        let found: Vec<i64> = ticks(&cron, begin).take_while(|&tick| tick <= end).take(200).collect();
        prop_assert_eq!(found, expected, "{}", cron);
    }

    #[test]
    fn dates_are_those_of_a_slow_reading_of_the_rules(expression in expressions(), begin in 20_000..60_000_i64) {
        let expression = expression.at_midnight();
        let seconds = |days: i64| days * DAY * 60;
        let matches = |&days: &i64| expression.matches_date(Date::of(days));
        match CronExpression::parse(&expression.text(), "UTC") {
            Ok(cron) => {
                let found: Vec<i64> = ticks(&cron, seconds(begin)).take(10).collect();
                let expected = (begin + 1..begin + 1_000).filter(matches).map(seconds).take(10);
                let expected: Vec<i64> = expected.collect();
                let (near, far) = found.split_at(expected.len());
                prop_assert_eq!(near, expected, "{}", cron);
                prop_assert!(far.iter().all(|&tick| tick >= seconds(begin + 1_000)), "{}", cron);
            }
            Err(fault) => {
                prop_assert_eq!(fault, CronFault::Never { expression: expression.text() });
                // In 28 years each date is once on each day of the week.
                prop_assert_eq!((20_000..20_000 + 28 * 366).find(matches), None, "{}", expression.text());
            }
        }
    }
}

#[test]
fn a_daily_job_has_exactly_one_tick_for_each_day_around_every_change_of_any_clock() {
    for Change { zone, minute } in CHANGES.iter() {
        let rules = rules(zone);
        let change = Instant::from_second(minute * 60).unwrap();
        let before = rules.to_datetime(change.checked_sub(SignedDuration::from_mins(1)).unwrap());
        let between = before.checked_add(SignedDuration::from_mins(25)).unwrap();
        for time in [before, between, rules.to_datetime(change)] {
            let cron =
                CronExpression::parse(&format!("{} {} * * *", time.minute(), time.hour()), zone).unwrap();

            let begin = change.checked_sub(SignedDuration::from_hours(72)).unwrap();
            let shown = rules.to_datetime(begin);
            let first =
                if shown.time() < time.time() { shown.date() } else { shown.date().tomorrow().unwrap() };
            let expected: Vec<CivilDate> = first.series(1.day()).take(6).collect();

            // A time that was moved forward can be on the next day.
            let since_midnight = time.time().duration_since(Time::midnight());
            let day = |tick: i64| {
                let shown = rules.to_datetime(Instant::from_second(tick).unwrap());
                shown.checked_sub(since_midnight).unwrap().date()
            };
            let days: Vec<CivilDate> = ticks(&cron, begin.as_second()).take(6).map(day).collect();
            assert_eq!(days, expected, "{cron}");
        }
    }
}

#[test]
fn an_hourly_job_has_exactly_one_tick_in_each_hour_around_every_change_by_whole_hours() {
    let by_hours = |change: &&Change| {
        let clock = Clock::of(change.zone, change.minute - HOUR, change.minute + HOUR);
        clock.change() % HOUR == 0
    };
    let changes: Vec<&Change> = CHANGES.iter().filter(by_hours).collect();
    assert!(changes.len() > 100);
    for Change { zone, minute } in changes {
        for at in [0, 17, 59] {
            let cron = CronExpression::parse(&format!("{at} * * * *"), zone).unwrap();
            let begin = (minute - 4 * HOUR) * 60;
            let found: Vec<i64> = ticks(&cron, begin).take(8).collect();
            let expected: Vec<i64> = (0..8).map(|hour| found[0] + hour * HOUR * 60).collect();
            assert!(found[0] - begin <= HOUR * 60, "{cron}");
            assert_eq!(found, expected, "{cron}");
        }
    }
}
