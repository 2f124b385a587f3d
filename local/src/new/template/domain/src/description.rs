use serde::{Deserialize, Serialize};
use switchyard_kernel::text_value;
use utoipa::ToSchema;

/// The description of a book: 1 to 2000 characters, no control characters except line breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = String,
    min_length = 1,
    max_length = 2000,
    pattern = r"^[^\u0000-\u0009\u000B-\u001F\u007F-\u009F]*$",
    example = "A few words more."
)]
pub struct BookDescription(String);

/// The text cannot be the description of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 2000 characters, and no control characters except line breaks")]
pub struct InvalidBookDescription;

impl TryFrom<String> for BookDescription {
    type Error = InvalidBookDescription;

    fn try_from(text: String) -> Result<Self, InvalidBookDescription> {
        let fits =
            (1..=2000).contains(&text.chars().count()) && !text.chars().any(|c| c.is_control() && c != '\n');
        if fits { Ok(Self(text)) } else { Err(InvalidBookDescription) }
    }
}

text_value!(BookDescription, InvalidBookDescription);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_may_have_several_lines() {
        assert!("One line.\nAnother.".parse::<BookDescription>().is_ok());
        assert!("é".repeat(2000).parse::<BookDescription>().is_ok());
        for text in ["", "bell\u{7}", "carriage\rreturn", &"x".repeat(2001)] {
            assert_eq!(text.parse::<BookDescription>(), Err(InvalidBookDescription), "{text:?}");
        }
    }
}
