use std::fmt;
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use ring::digest::{SHA256, digest};
use switchyard_ambient::Timestamp;
use switchyard_settings::Lifetime;

use crate::{ApiError, codes};

/// How many requests a client or user may send in each window of time. Written as `100/15m` (the unit is `s`,
/// `m`, `h` or `d`), or as `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// No limit.
    Off,
    /// A number of requests in each window.
    Quota(Quota),
}

/// A number of requests in each window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    requests: u32,
    window_seconds: u32,
}

impl Quota {
    /// A quota of `requests` in each window of `window_seconds`. Returns `None` if either is 0.
    pub const fn new(requests: u32, window_seconds: u32) -> Option<Self> {
        if requests == 0 || window_seconds == 0 { None } else { Some(Self { requests, window_seconds }) }
    }

    /// The number of requests.
    pub const fn requests(self) -> u32 {
        self.requests
    }

    /// The window of `subject` that contains `now`.
    ///
    /// Windows follow each other without a gap. They begin at a time that depends on the subject: if all began at once, all
    /// instances would ask the store about all subjects then. It depends on nothing else, so all instances agree on it.
    pub(super) fn window(self, subject: &str, now: Timestamp) -> Window {
        let length = i64::from(self.window_seconds) * 1_000_000;
        let shift = shift_of(subject, length);
        let starts_at = now.as_micros().saturating_sub(shift).div_euclid(length) * length + shift;
        let ends_at = starts_at.saturating_add(length);
        Window { starts_at: Timestamp::from_micros(starts_at), ends_at: Timestamp::from_micros(ends_at) }
    }
}

/// A time below `length`, which is evenly distributed over the subjects.
fn shift_of(subject: &str, length: i64) -> i64 {
    let hash = digest(&SHA256, subject.as_bytes());
    let number = hash.as_ref().iter().take(7).fold(0, |number, &byte| (number << 8) | i64::from(byte));
    number % length
}

/// A period of time in which requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) starts_at: Timestamp,
    pub(super) ends_at: Timestamp,
}

impl RateLimit {
    /// A quota of `requests` in each window of `minutes`; no limit if either is 0.
    pub const fn per_minutes(requests: u32, minutes: u32) -> Self {
        match Quota::new(requests, minutes.saturating_mul(60)) {
            Some(quota) => Self::Quota(quota),
            None => Self::Off,
        }
    }
}

/// The text is not a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a number of requests and a time, as in 100/15m, or off")]
pub struct ParseRateLimitError;

impl RateLimit {
    /// What a limit may be, for `Environment::setting`.
    pub const FORM: &'static str = "a number of requests and a time, as in 100/15m, or off";
}

impl FromStr for RateLimit {
    type Err = ParseRateLimitError;

    fn from_str(text: &str) -> Result<Self, ParseRateLimitError> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let is_plain = text.bytes().all(|byte| byte != b'+'); // `parse` takes a plus sign
        let quota = || {
            let (requests, time) = text.split_once('/')?;
            let unit = time.chars().last()?;
            let seconds: u32 = match unit {
                's' => 1,
                'm' => 60,
                'h' => 60 * 60,
                'd' => 24 * 60 * 60,
                _ => return None,
            };
            let count = match time.strip_suffix(unit)? {
                "" => 1, // `100/m`
                count => count.parse().ok()?,
            };
            Quota::new(requests.parse().ok()?, seconds.checked_mul(count)?)
        };
        quota().filter(|_| is_plain).map(Self::Quota).ok_or(ParseRateLimitError)
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Quota(quota) => write!(f, "{}/{}", quota.requests, Lifetime::seconds(quota.window_seconds)),
        }
    }
}

/// What became of a request that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(super) policy: String,
    pub(super) quota: Quota,
    pub(super) allowed: bool,
    pub(super) remaining: u32,
    pub(super) ends_at: Timestamp,
}

impl Verdict {
    pub(crate) fn policy(&self) -> &str {
        &self.policy
    }

    pub(crate) fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// The 429 for a request beyond the limit.
    pub(crate) fn refusal(&self, now: Timestamp) -> ApiError {
        ApiError::new(codes::RATE_LIMITED).retry_after(self.ends_at.since(now))
    }

    /// Adds `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10). `now` is the time
    /// of the answer, which may come long after the request was counted.
    pub(crate) fn add_headers(&self, headers: &mut HeaderMap, now: Timestamp) {
        let Self { policy, quota, remaining, .. } = self;
        let resets_in = self.ends_at.since(now);
        let seconds = resets_in.as_secs() + u64::from(resets_in.subsec_nanos() > 0);
        let entries = [
            (RATELIMIT_POLICY, format!("\"{policy}\";q={};w={}", quota.requests, quota.window_seconds)),
            (RATELIMIT, format!("\"{policy}\";r={remaining};t={seconds}")),
        ];
        for (name, entry) in entries {
            if let Ok(value) = HeaderValue::try_from(entry) {
                headers.append(name, value);
            }
        }
    }
}

pub(crate) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(crate) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seconds(text: &str) -> Option<(u32, u32)> {
        match text.parse() {
            Ok(RateLimit::Quota(quota)) => Some((quota.requests, quota.window_seconds)),
            _ => None,
        }
    }

    #[test]
    fn a_limit_is_a_number_and_a_time() {
        assert_eq!(seconds("100/15m"), Some((100, 900)));
        assert_eq!(seconds("1/s"), Some((1, 1)));
        assert_eq!(seconds("5000/2h"), Some((5000, 7200)));
        assert_eq!(seconds("5/1d"), Some((5, 86_400)));
        assert_eq!("off".parse(), Ok(RateLimit::Off));
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in
            ["", "100", "100/", "100/15", "0/15m", "100/0m", "-1/m", "100/15 m", "100/99999999d", "Off"]
        {
            assert_eq!(text.parse::<RateLimit>(), Err(ParseRateLimitError), "{text}");
        }
        assert_eq!(
            ParseRateLimitError.to_string(),
            "must be a number of requests and a time, as in 100/15m, or off"
        );
    }

    #[test]
    fn windows_of_a_subject_follow_each_other_without_a_gap() {
        let quota = Quota::new(1, 900).unwrap();
        for now in [-5_000_000_000_000, 0, 1_799_999_999] {
            let now = Timestamp::from_micros(now);
            let window = quota.window("ada", now);
            assert!(window.starts_at <= now && now < window.ends_at);
            assert_eq!(window.ends_at.since(window.starts_at), Duration::from_secs(900));
            assert_eq!(quota.window("ada", window.starts_at), window);
            assert_eq!(quota.window("ada", window.ends_at).starts_at, window.ends_at);
        }
    }

    #[test]
    fn windows_of_many_subjects_turn_evenly_over_their_length() {
        let quota = Quota::new(1, 10).unwrap();
        let mut turning = [0; 10];
        for number in 0..10_000 {
            let ends_at = quota.window(&format!("user:{number}"), Timestamp::from_seconds(0)).ends_at;
            turning[usize::try_from(ends_at.as_micros() / 1_000_000 % 10).unwrap()] += 1;
        }
        assert!(turning.iter().all(|count| (850..1150).contains(count)), "{turning:?}");
    }

    #[test]
    fn the_headers_say_what_is_left_and_until_when() {
        let verdict = Verdict {
            policy: "user".to_owned(),
            quota: Quota::new(100, 900).unwrap(),
            allowed: true,
            remaining: 7,
            ends_at: Timestamp::from_micros(10_500_000),
        };
        for (now, header) in [(9, "\"user\";r=7;t=2"), (11, "\"user\";r=7;t=0")] {
            let mut headers = HeaderMap::new();
            verdict.add_headers(&mut headers, Timestamp::from_seconds(now));
            assert_eq!(headers["ratelimit-policy"], "\"user\";q=100;w=900");
            assert_eq!(headers["ratelimit"], header);
        }
    }
}
