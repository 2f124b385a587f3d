use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;
use utoipa::ToSchema;

use switchyard_kernel::read_with_deserr;
use switchyard_kernel::value::{is_space, is_unassigned};

/// A password in the form in which passwords are judged, compared and hashed: the profile `OpaqueString` of RFC 8265. Spaces of
/// any width are U+0020, and characters are composed (NFC). Keyboards and operating systems differ in how they send `ä`, as one
/// character or as two, and the same password must match on all of them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PreparedPassword(String);

impl PreparedPassword {
    /// Prepares a password as it was typed, whatever it is.
    pub(crate) fn of(typed: &str) -> Self {
        let spaced: String = typed.chars().map(|c| if is_space(c) { ' ' } else { c }).collect();
        Self(ComposingNormalizerBorrowed::new_nfc().normalize(&spaced).into_owned())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PreparedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[password]")
    }
}

/// A new password: 8 to 128 characters, of any kind but control characters. It is never shown and never stored.
///
/// All spaces are the same character, and so are composed and decomposed letters. Whether the password is easy to guess is
/// checked where the name and the address of its owner are known.
//
// It has an upper bound because all of it is hashed; nothing is cut off. Characters are counted after the password was prepared.
// Two kinds are refused, as RFC 8265 says: control characters, which come from pasted text and cannot be typed; and characters
// that Unicode has not assigned, because a later version may compose them in another way, so that the password would no longer
// match. Unlike there, variation selectors and joiners are allowed, because emoji contain them.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = Password, min_length = 8, max_length = 128, example = "correct horse battery")]
pub struct Password(PreparedPassword);

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// It is too short or too long.
    #[error("must have 8 to 128 characters")]
    Length,
    /// It has a control character.
    #[error("must not contain line breaks or other control characters")]
    Control,
    /// It has a character that Unicode has not assigned.
    #[error("must not contain characters that Unicode has not assigned")]
    Unassigned,
}

impl Password {
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    pub(crate) fn prepared(&self) -> &PreparedPassword {
        &self.0
    }
}

impl TryFrom<String> for Password {
    type Error = InvalidPassword;

    fn try_from(text: String) -> Result<Self, InvalidPassword> {
        let prepared = PreparedPassword::of(&text);
        if !(8..=128).contains(&prepared.expose().chars().count()) {
            Err(InvalidPassword::Length)
        } else if prepared.expose().chars().any(char::is_control) {
            Err(InvalidPassword::Control)
        } else if prepared.expose().chars().any(is_unassigned) {
            Err(InvalidPassword::Unassigned)
        } else {
            Ok(Self(prepared))
        }
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
    fn spellings_of_one_password_are_one() {
        let prepared = |text: &str| PreparedPassword::of(text).expose().to_owned();
        assert_eq!(prepared("pa\u{308}ssword\u{a0}\u{3000}1"), "pässword  1");
        assert_eq!(prepared("\u{212b}"), "Å");
        // Case, width and compatibility are kept: they are part of the secret.
        assert_eq!(prepared("ﬁＡa\u{200d}\n"), "ﬁＡa\u{200d}\n");
        assert_eq!("a\u{308}".repeat(8).parse::<Password>().unwrap().expose(), "ä".repeat(8));
        assert_eq!("a\u{308}".repeat(7).parse::<Password>(), Err(InvalidPassword::Length));
    }

    #[test]
    fn what_cannot_be_typed_or_may_change_is_refused() {
        for (text, fault) in [
            ("correct horse\n", "must not contain line breaks or other control characters"),
            ("correct\0horse", "must not contain line breaks or other control characters"),
            ("correct \u{378} horse", "must not contain characters that Unicode has not assigned"),
            ("1234567", "must have 8 to 128 characters"),
        ] {
            assert_eq!(text.parse::<Password>().unwrap_err().to_string(), fault);
        }
        assert!("👩\u{200d}👩\u{200d}👧 ❤\u{fe0f} 🏴\u{e0067}".parse::<Password>().is_ok());
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(format!("{:?}", PreparedPassword::of("correct horse")), "[password]");
        assert_eq!(format!("{:?}", "correct horse".parse::<Password>().unwrap()), "[password]");
    }
}
