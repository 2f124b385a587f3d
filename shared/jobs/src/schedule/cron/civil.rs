use std::iter::successors;

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions, parse_crontab_with};
use jiff::ToSpan;
use jiff::civil::{DateTime, date};
use jiff::tz::Offset;

/// How far times are sought. The weekday of each date depends only on the weekday of the first of January and on whether
/// the year is a leap year. The same kind of year comes again after 40 years at the latest, as that of 2088 does in
/// 2128, because 2100 is no leap year. So what does not match in that time and the rest of the first year never does.
const YEARS: usize = 44;

/// Where the search ends: `cronexpr` panics near the end of the calendar of `jiff`, which is the year 9999.
const LAST_YEAR: i16 = 9990;

/// The times on a clock without a time zone that match an expression.
///
/// `cronexpr` takes them for times in UTC. It is not given the zone, because it loses a tick where clocks are set
/// forward, and gives one twice where they are set back.
#[derive(Clone, Debug)]
pub(super) struct CivilTimes {
    times: Crontab,
    last_week_of_december: Option<Crontab>,
}

impl CivilTimes {
    /// Parses an expression of five fields.
    pub(super) fn parse(fields: &[&str; 5]) -> Option<Self> {
        Some(Self { times: parse(fields)?, last_week_of_december: last_week_of_december(fields) })
    }

    /// Returns the first time that matches after `after`.
    pub(super) fn next_after(&self, after: DateTime) -> Option<DateTime> {
        let in_last_week = self.last_week_of_december.as_ref().and_then(|december| {
            let later = |&time: &DateTime| {
                first_after(december, time.max(date(time.year(), 12, 24).at(23, 59, 0, 0)))
            };
            successors(first_after(december, after), later).take(2 * YEARS).find(|time| time.day() > 24)
        });
        first_after(&self.times, after).into_iter().chain(in_last_week).min()
    }
}

fn parse(fields: &[&str; 5]) -> Option<Crontab> {
    let mut options = ParseOptions::default();
    options.fallback_timezone_option = FallbackTimezoneOption::UTC;
    parse_crontab_with(&fields.join(" "), options).ok()
}

/// Returns an expression for the last week of December, if the given one includes December and has an `L`.
///
/// `cronexpr` 1.7 finds no last day in December: it takes a day for the last if the month of the next day, or of the
/// same day a week later, is a greater number. In the last week, the last day is the 31st, and the last Friday is the
/// Friday.
fn last_week_of_december(fields: &[&str; 5]) -> Option<Crontab> {
    let [minute, hour, day, month, weekday] = fields;
    let november = date(2000, 11, 30).at(23, 59, 0, 0);
    let december = first_after(&parse(&["*", "*", "*", month, "*"])?, november)?.month() == 12;
    let days: Vec<&str> = day.split(',').map(|item| if item == "L" { "31" } else { item }).collect();
    let weekdays: Vec<&str> = weekday.split(',').map(|item| item.strip_suffix('L').unwrap_or(item)).collect();
    let (days, weekdays) = (days.join(","), weekdays.join(","));
    let has_last = days != *day || weekdays != *weekday;
    if december && has_last { parse(&[minute, hour, &days, "12", &weekdays]) } else { None }
}

fn first_after(times: &Crontab, mut after: DateTime) -> Option<DateTime> {
    // One search of `cronexpr` ends after four years.
    for _ in 0..YEARS / 4 {
        if after.year() > LAST_YEAR {
            break;
        }
        let start = Offset::UTC.to_timestamp(after).ok()?;
        if let Ok(found) = times.find_next(MakeTimestamp(start)) {
            return Some(found.datetime());
        }
        after = after.checked_add(4.years()).ok()?;
    }
    None
}
