//! Times as the API shows them.

use serde::Serializer;
use switchyard_ambient::Timestamp;

/// Writes a time as text: `2026-03-01T08:30:00.000Z`.
pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// As [`serialize`], `null` for none.
pub(crate) fn serialize_option<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// The time, as exact as it is shown: what is stored so is found again by the time that was shown.
pub(crate) fn to_millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.as_millis().saturating_mul(1_000))
}
