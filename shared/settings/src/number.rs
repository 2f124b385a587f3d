use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The text is not a number in the range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number from {0} to {1}")]
pub struct NumberError(String, String);

/// Returns a parser of whole numbers in decimal digits, for [`Setting::or_with`](crate::Setting::or_with).
///
/// ```
/// use switchyard_settings::number_in;
///
/// assert_eq!(number_in(1..=9_u8)("7"), Ok(7));
/// for text in ["0", "10", "+7", "-7", "7.0", "x", ""] {
///     assert_eq!(number_in(1..=9_u8)(text).unwrap_err().to_string(), "must be a whole number from 1 to 9");
/// }
/// ```
pub fn number_in<T: FromStr + PartialOrd + Display>(
    range: RangeInclusive<T>,
) -> impl FnOnce(&str) -> Result<T, NumberError> {
    move |text| {
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit()); // `parse` takes a plus sign
        let number = text.parse().ok().filter(|number| is_digits && range.contains(number));
        number.ok_or_else(|| NumberError(range.start().to_string(), range.end().to_string()))
    }
}
