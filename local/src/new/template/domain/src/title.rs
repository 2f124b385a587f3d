use serde::{Deserialize, Serialize};
use switchyard_kernel::text_value;
use switchyard_kernel::value::has_controls;
use utoipa::ToSchema;

/// The title of a book: 1 to 200 characters, at least one of them visible, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = String,
    min_length = 1,
    max_length = 200,
    pattern = r"^[^\u0000-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F][^\u0000-\u001F\u007F-\u009F]*$",
    example = "A short title"
)]
pub struct BookTitle(String);

/// Why a text is not the title of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBookTitle {
    /// It is empty or too long.
    #[error("must have 1 to 200 characters")]
    Length,
    /// It has control characters, such as line breaks.
    #[error("must not contain control characters")]
    Controls,
    /// It is all white space.
    #[error("must not be blank")]
    Blank,
}

impl TryFrom<String> for BookTitle {
    type Error = InvalidBookTitle;

    fn try_from(text: String) -> Result<Self, InvalidBookTitle> {
        if !(1..=200).contains(&text.chars().count()) {
            Err(InvalidBookTitle::Length)
        } else if has_controls(&text) {
            Err(InvalidBookTitle::Controls)
        } else if text.chars().all(char::is_whitespace) {
            Err(InvalidBookTitle::Blank)
        } else {
            Ok(Self(text))
        }
    }
}

text_value!(BookTitle, InvalidBookTitle);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_has_one_to_two_hundred_characters_of_any_script() {
        assert!("李".parse::<BookTitle>().is_ok());
        assert!("é".repeat(200).parse::<BookTitle>().is_ok());
        assert_eq!("é".repeat(201).parse::<BookTitle>(), Err(InvalidBookTitle::Length));
        assert_eq!("".parse::<BookTitle>(), Err(InvalidBookTitle::Length));
    }

    #[test]
    fn blank_titles_and_control_characters_are_refused() {
        assert_eq!(" \u{a0} ".parse::<BookTitle>(), Err(InvalidBookTitle::Blank));
        assert_eq!("Two\nlines".parse::<BookTitle>(), Err(InvalidBookTitle::Controls));
    }
}
