use std::fmt;

use utoipa::ToSchema;

use switchyard_kernel::read_with_deserr;

/// A new password: 8 to 128 characters of any kind. It is never shown and never stored.
///
/// It has an upper bound because all of it is hashed; nothing is cut off. Whether it is easy to guess is
/// checked where the name and the address of its owner are known.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = Password, min_length = 8, max_length = 128, example = "correct horse battery")]
pub struct Password(String);

/// The text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 8 to 128 characters")]
pub struct InvalidPassword;

impl Password {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Password {
    type Error = InvalidPassword;

    fn try_from(text: String) -> Result<Self, InvalidPassword> {
        if (8..=128).contains(&text.chars().count()) { Ok(Self(text)) } else { Err(InvalidPassword) }
    }
}

impl std::str::FromStr for Password {
    type Err = InvalidPassword;

    fn from_str(text: &str) -> Result<Self, InvalidPassword> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[password]")
    }
}

read_with_deserr!(Password);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_not_bytes() {
        assert!("1234567".parse::<Password>().is_err());
        assert!("12345678".parse::<Password>().is_ok());
        assert!("密".repeat(128).parse::<Password>().is_ok());
        assert!("密".repeat(129).parse::<Password>().is_err());
        assert!("        ".parse::<Password>().is_ok(), "the strength check refuses this");
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(format!("{:?}", "correct horse".parse::<Password>().unwrap()), "[password]");
    }
}
