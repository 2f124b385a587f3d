use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use switchyard_kernel::text_value;
use switchyard_kernel::value::has_controls;

/// A person's name: 1 to 100 characters, at least one of them visible, and no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = String,
    min_length = 1,
    max_length = 100,
    pattern = r"^[^\u0000-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F][^\u0000-\u001F\u007F-\u009F]*$",
    example = "Ada Lovelace"
)]
pub struct PersonName(String);

/// The text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// It is empty or too long.
    #[error("must have 1 to 100 characters")]
    Length,
    /// It has control characters, such as line breaks.
    #[error("must not contain control characters")]
    Controls,
    /// It is all white space.
    #[error("must not be blank")]
    Blank,
}

impl TryFrom<String> for PersonName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        if !(1..=100).contains(&text.chars().count()) {
            Err(InvalidName::Length)
        } else if has_controls(&text) {
            Err(InvalidName::Controls)
        } else if text.chars().all(char::is_whitespace) {
            Err(InvalidName::Blank)
        } else {
            Ok(Self(text))
        }
    }
}

text_value!(PersonName, InvalidName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_to_a_hundred_characters_of_any_script() {
        assert!("李".parse::<PersonName>().is_ok());
        assert!("é".repeat(100).parse::<PersonName>().is_ok());
        assert_eq!("é".repeat(101).parse::<PersonName>(), Err(InvalidName::Length));
        assert_eq!("".parse::<PersonName>(), Err(InvalidName::Length));
    }

    #[test]
    fn blank_names_and_control_characters_are_refused() {
        assert_eq!(" \u{a0} ".parse::<PersonName>(), Err(InvalidName::Blank));
        assert_eq!("Ada\nBcc: x".parse::<PersonName>(), Err(InvalidName::Controls));
        assert_eq!("Ada\0".parse::<PersonName>(), Err(InvalidName::Controls));
    }
}
