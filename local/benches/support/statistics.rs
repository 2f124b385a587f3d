//! Statistics of measurements.

use std::cmp::Ordering;

/// The value below which a `share` (0 to 1) of the values lie; 0.5 gives the median. Returns the default if there
/// are no values.
pub(crate) fn percentile<T: Copy + Default + PartialOrd>(mut values: Vec<T>, share: f64) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal));
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place"
    )]
    let place = (values.len() as f64 * share) as usize;
    values.get(place.min(values.len().saturating_sub(1))).copied().unwrap_or_default()
}
