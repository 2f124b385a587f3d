//! Texts of one line: names, titles, the lines of an address.

use std::ops::RangeInclusive;

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use super::characters::{is_line_control, is_visible};

/// Why a text is not a line of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLine {
    /// It is too long, or empty although it must not be.
    #[error("must have {} characters", Lengths(*least, *most))]
    Length {
        /// The least number of characters.
        least: usize,
        /// The greatest number of characters.
        most: usize,
    },
    /// It has a line break, another control character, or a control of direction.
    #[error(
        "must not contain line breaks, other control characters, or characters that change the direction of text"
    )]
    Controls,
    /// It has only characters that are not seen, such as spaces.
    #[error("must have a visible character")]
    Invisible,
}

struct Lengths(usize, usize);

impl std::fmt::Display for Lengths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self(0, most) => write!(f, "at most {most}"),
            Self(least, most) => write!(f, "{least} to {most}"),
        }
    }
}

/// Checks a text of one line: its number of characters; that none of them breaks the line or changes the direction of the text
/// around it ([`is_line_control`]); and, unless it is empty, that one of them is visible.
///
/// Other characters without a shape are allowed, because scripts and emoji need them: joiners, variation selectors, tags.
pub fn check_line(text: &str, lengths: RangeInclusive<usize>) -> Result<(), InvalidLine> {
    if !lengths.contains(&text.chars().count()) {
        Err(InvalidLine::Length { least: *lengths.start(), most: *lengths.end() })
    } else if text.chars().any(is_line_control) {
        Err(InvalidLine::Controls)
    } else if !text.is_empty() && !text.chars().any(is_visible) {
        Err(InvalidLine::Invisible)
    } else {
        Ok(())
    }
}

/// Declares the type of a text of one line, with its bounds in characters and an example. [`check_line`](crate::value::check_line)
/// has the rules, and [`InvalidLine`](crate::value::InvalidLine) is the error.
///
/// ```
/// use switchyard_kernel::value::InvalidLine;
///
/// switchyard_kernel::line_type! {
///     /// The title of a note: 1 to 100 characters on one line.
///     Title, 1..=100, example = "Things to do"
/// }
///
/// assert_eq!("Two\nlines".parse::<Title>().err(), Some(InvalidLine::Controls));
/// assert_eq!("李".parse::<Title>().unwrap().as_str(), "李");
/// ```
#[macro_export]
macro_rules! line_type {
    ($(#[doc = $doc:literal])* $name:ident, $least:literal..=$most:literal, example = $example:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl ::std::convert::TryFrom<String> for $name {
            type Error = $crate::value::InvalidLine;

            fn try_from(text: String) -> Result<Self, $crate::value::InvalidLine> {
                $crate::value::check_line(&text, $least..=$most)?;
                Ok(Self(text))
            }
        }

        $crate::text_value!($name, $crate::value::InvalidLine);

        impl $crate::utoipa::ToSchema for $name {}

        impl $crate::utoipa::PartialSchema for $name {
            fn schema() -> $crate::utoipa::openapi::RefOr<$crate::utoipa::openapi::Schema> {
                $crate::value::line_schema(concat!($($doc),*).trim(), $least..=$most, $example)
            }
        }

        impl $crate::serde::Serialize for $name {
            fn serialize<S: $crate::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> $crate::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as $crate::serde::Deserialize>::deserialize(deserializer).map(Self)
            }
        }
    };
}

/// What [`is_line_control`] finds, as a class of a regular expression.
const CONTROLS: &str = r"\u0000-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069";

/// The schema of a line of text in the API's document. Its pattern knows white space, but not everything else that is
/// invisible: that takes thousands of characters.
#[doc(hidden)]
pub fn line_schema(description: &str, lengths: RangeInclusive<usize>, example: &str) -> RefOr<Schema> {
    let (least, most) = lengths.into_inner();
    let pattern = if least == 0 {
        format!("^[^{CONTROLS}]*$")
    } else {
        format!(r"^[^{CONTROLS}]*[^\s{CONTROLS}][^{CONTROLS}]*$")
    };
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .min_length((least > 0).then_some(least))
        .max_length(Some(most))
        .pattern(Some(pattern))
        .examples([example])
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_visible_character_of_any_script() {
        for text in ["李", "-", "🙂", "O’Connor", "علی‌رضا", " a ", "\u{200b}x"] {
            assert_eq!(check_line(text, 1..=10), Ok(()), "{text}");
        }
        for text in [
            " ",
            "\u{a0}\u{3000}",
            "\u{200b}",
            "\u{200d}\u{feff}",
            "\u{3164}",
            "\u{2800}",
            "\u{301}",
            "\u{e000}",
        ] {
            assert_eq!(check_line(text, 1..=10), Err(InvalidLine::Invisible), "{text:?}");
        }
    }

    #[test]
    fn a_line_does_not_break_and_has_one_direction() {
        for text in
            ["a\nb", "a\0", "a\u{85}", "a\u{2028}b", "\u{202e}gnp.exe", "\u{200f}a", "\u{2067}a\u{2069}"]
        {
            assert_eq!(check_line(text, 1..=10), Err(InvalidLine::Controls), "{text:?}");
        }
    }

    #[test]
    fn lengths_are_counted_in_characters_and_told() {
        assert_eq!(check_line(&"é".repeat(10), 1..=10), Ok(()));
        let fault = |text: &str, lengths| check_line(text, lengths).unwrap_err().to_string();
        assert_eq!(fault("", 1..=10), "must have 1 to 10 characters");
        assert_eq!(fault(&"é".repeat(11), 0..=10), "must have at most 10 characters");
        assert_eq!(check_line("", 0..=10), Ok(()));
    }
}
