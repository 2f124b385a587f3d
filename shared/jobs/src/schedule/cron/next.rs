use jiff::tz::AmbiguousOffset;
use jiff::{SignedDuration, Timestamp as Instant};
use switchyard_ambient::Timestamp;

use super::CronExpression;

/// The most by which clocks have ever been set forward: a whole day, where the date line was moved.
const LONGEST_GAP: SignedDuration = SignedDuration::from_hours(24);

impl CronExpression {
    /// Returns the first tick after `after`, which is always later than `after`.
    ///
    /// Returns `None` only after the year 9990.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        // Ticks are whole seconds, so that none lies between this second and `after`.
        let after = Instant::from_second(after.as_seconds()).ok()?;
        let next = if self.wildcard_hours { self.next_shown(after) } else { self.next_once(after) };
        next.map(|next| Timestamp::from_seconds(next.as_second()))
    }

    /// The first instant after `after` at which the clock shows a time that matches.
    fn next_shown(&self, after: Instant) -> Option<Instant> {
        let mut shown = self.zone.to_datetime(after);
        // Begins a time without changes of the clock.
        let mut begin = after;
        loop {
            let tick = self.zone.to_offset(begin).to_timestamp(self.times.next_after(shown)?).ok()?;
            match self.zone.following(begin).next() {
                Some(change) if change.timestamp() <= tick => {
                    begin = change.timestamp();
                    // The time at which the clock is set can match, too.
                    shown = self.zone.to_datetime(begin).checked_sub(SignedDuration::from_secs(1)).ok()?;
                }
                _ => return Some(tick),
            }
        }
    }

    /// The first instant after `after` that belongs to a time that matches, where each time has exactly one instant.
    fn next_once(&self, after: Instant) -> Option<Instant> {
        // Times in a gap fall on instants after it. So the search begins at the time that the clock would show if it
        // had not been set forward.
        let unchanged = self.zone.to_offset(after.checked_sub(LONGEST_GAP).ok()?);
        let mut time = self.zone.to_datetime(after).min(unchanged.to_datetime(after));
        let mut earliest: Option<Instant> = None;
        loop {
            let Some(next) = self.times.next_after(time) else { return earliest };
            time = next;
            let time_in_zone = self.zone.to_ambiguous_timestamp(time);
            let in_gap = matches!(time_in_zone.offset(), AmbiguousOffset::Gap { .. });
            let instant = time_in_zone.compatible().ok()?;
            if instant <= after {
                continue;
            }
            earliest = Some(earliest.map_or(instant, |earliest| earliest.min(instant)));
            // A later time in the same gap, or soon after it, can have an earlier instant.
            if !in_gap {
                return earliest;
            }
        }
    }
}
