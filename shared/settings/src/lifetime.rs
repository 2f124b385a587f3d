use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration in whole seconds, written as in `90s`, `15m`, `24h` or `30d`. A parsed one is never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime(u32);

impl Lifetime {
    /// What a lifetime may be, for [`Environment::setting`](crate::Environment::setting).
    pub const FORM: &'static str = "a duration, as in 90s, 15m, 24h or 30d";

    /// A lifetime of `seconds` seconds.
    pub const fn seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// A lifetime of `minutes` minutes.
    pub const fn minutes(minutes: u32) -> Self {
        Self(minutes * 60)
    }

    /// A lifetime of `hours` hours.
    pub const fn hours(hours: u32) -> Self {
        Self::minutes(hours * 60)
    }

    /// A lifetime of `days` days.
    pub const fn days(days: u32) -> Self {
        Self::hours(days * 24)
    }

    /// The lifetime in seconds.
    pub const fn as_seconds(self) -> u32 {
        self.0
    }

    /// The lifetime as a [`Duration`].
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

impl From<Lifetime> for Duration {
    fn from(lifetime: Lifetime) -> Self {
        lifetime.as_duration()
    }
}

/// The text is not a lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a duration such as 90s, 15m, 24h or 30d")]
pub struct ParseLifetimeError;

impl FromStr for Lifetime {
    type Err = ParseLifetimeError;

    fn from_str(text: &str) -> Result<Self, ParseLifetimeError> {
        let (count, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(ParseLifetimeError)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return Err(ParseLifetimeError),
        };
        // `parse` takes a plus sign.
        let is_number = count.bytes().all(|byte| byte.is_ascii_digit());
        let count: u32 = count.parse().ok().filter(|_| is_number).ok_or(ParseLifetimeError)?;
        count.checked_mul(unit).filter(|&seconds| seconds > 0).map(Self).ok_or(ParseLifetimeError)
    }
}

/// Shows the largest unit of which it is a whole number.
impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m")];
        match units.into_iter().find(|(unit, _)| self.0 > 0 && self.0.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}s", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_and_a_unit() {
        assert_eq!("90s".parse(), Ok(Lifetime::seconds(90)));
        assert_eq!("15m".parse(), Ok(Lifetime::minutes(15)));
        assert_eq!("24h".parse(), Ok(Lifetime::hours(24)));
        assert_eq!("30d".parse(), Ok(Lifetime::days(30)));
    }

    #[test]
    fn a_lifetime_is_shown_in_the_largest_unit() {
        for text in ["90s", "15m", "25h", "30d", "61s"] {
            assert_eq!(text.parse::<Lifetime>().map(|lifetime| lifetime.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(
            (Lifetime::seconds(0).to_string(), Lifetime::hours(24).to_string()),
            ("0s".into(), "1d".into())
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "s", "15", "0m", "-1m", "1.5h", "15 m", "15M", "99999999d", "1ä", "+5m"] {
            assert_eq!(text.parse::<Lifetime>(), Err(ParseLifetimeError), "{text}");
        }
    }
}
