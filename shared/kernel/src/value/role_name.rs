use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The name of a role: 1 to 40 of `a`–`z`, `0`–`9` and `-`, beginning with a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, min_length = 1, max_length = 40, pattern = "^[a-z][a-z0-9-]*$", example = "support")]
pub struct RoleName(String);

/// The text is not a role's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 40 of a-z, 0-9 and -, a letter first")]
pub struct InvalidRoleName;

impl TryFrom<String> for RoleName {
    type Error = InvalidRoleName;

    fn try_from(text: String) -> Result<Self, InvalidRoleName> {
        let fits = (1..=40).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(text)) } else { Err(InvalidRoleName) }
    }
}

impl RoleName {
    /// The name of a role that the code itself names. It is not validated.
    pub fn built_in(name: &'static str) -> Self {
        Self(name.to_owned())
    }
}

crate::text_value!(RoleName, InvalidRoleName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_name_is_short_and_plain() {
        assert!("support-2".parse::<RoleName>().is_ok());
        for text in ["", "2nd", "Support", "a b", "a/b", "ä", &"a".repeat(41)] {
            assert_eq!(text.parse::<RoleName>(), Err(InvalidRoleName), "{text}");
        }
    }
}
