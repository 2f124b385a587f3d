//! Times as the API shows them (RFC 3339).

use serde::Serializer;
use switchyard_ambient::Timestamp;

/// Writes a time as text: `2026-03-01T08:30:00.000Z`.
pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// Like [`serialize`], with `null` for `None`.
pub fn serialize_option<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// The time, rounded down to the millisecond as it is shown. A stored time is then found by the time that was shown.
pub fn to_millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.as_millis().saturating_mul(1_000))
}
