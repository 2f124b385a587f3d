use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use utoipa::ToSchema;

use switchyard_kernel::text_value;

/// An e-mail address, kept as the user wrote it.
///
/// Its form is checked loosely: one `@`, at most 254 bytes (RFC 5321 §4.5.3.1.3, less the angle brackets), a
/// local part of 1 to 64 bytes that may be internationalised (RFC 6531), and a domain of at least two labels or
/// `localhost`. Only sending a mail can show whether the address works.
///
/// ```
/// use switchyard_identity::EmailAddress;
///
/// let address: EmailAddress = "Zoë@Example.com".parse()?;
/// assert_eq!(address.as_str(), "Zoë@Example.com");
/// assert_eq!(address.key(), "zoë@example.com");
/// # Ok::<(), switchyard_identity::InvalidEmail>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = String,
    description = "An e-mail address of at most 254 bytes. It is kept as written and compared without regard to case.",
    format = Email,
    max_length = 254,
    example = "ada@example.com"
)]
pub struct EmailAddress(String);

/// The text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address")]
pub struct InvalidEmail;

const MAX_BYTES: usize = 254;
const MAX_LOCAL_BYTES: usize = 64;
const MAX_LABEL_BYTES: usize = 63;

impl EmailAddress {
    /// The unique form of the address. Addresses that differ only in case have the same key.
    ///
    /// It is the address in lower case, in Unicode's composed form. Mail servers may distinguish case in the
    /// local part (RFC 5321 §2.4), but no relevant server does, and people do not either.
    pub fn key(&self) -> String {
        self.0.nfc().collect::<String>().to_lowercase().nfc().collect()
    }

    /// The local part and the domain.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.0.split_once('@').unwrap_or((&self.0, ""))
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        let (local, domain) = text.split_once('@').ok_or(InvalidEmail)?;
        let length_fits = text.len() <= MAX_BYTES && (1..=MAX_LOCAL_BYTES).contains(&local.len());
        if !length_fits || text.chars().any(char::is_control) || !is_local_part(local) || !is_domain(domain) {
            return Err(InvalidEmail);
        }
        let address = Self(text);
        // Case mapping can lengthen a text, and the key is indexed.
        if address.key().len() > 2 * MAX_BYTES { Err(InvalidEmail) } else { Ok(address) }
    }
}

text_value!(EmailAddress, InvalidEmail);

/// Quoted local parts (`"a b"@example.com`) are refused: practically no one has one, and they allow injection.
fn is_local_part(local: &str) -> bool {
    let fits = |c: char| !c.is_whitespace() && !r#""(),:;<>@[\]"#.contains(c);
    local.chars().all(fits) && local.split('.').all(|atom| !atom.is_empty())
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        let fits =
            |c: char| c == '-' || if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() };
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.chars().all(|c| fits(c) || is_mark(c))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels: Vec<&str> = domain.split('.').collect();
    labels.iter().all(|label| is_label(label))
        && (labels.len() > 1 || domain.eq_ignore_ascii_case("localhost"))
}

/// Scripts such as Devanagari write vowels as marks, which are not alphanumeric.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_address(text: &str) -> bool {
        text.parse::<EmailAddress>().is_ok()
    }

    #[test]
    fn realistic_addresses_are_accepted() {
        for text in [
            "a@b.co",
            "ada.lovelace+tag@mail.example.com",
            "o'hara_%&/=?{|}~!#$^*`-@example.org",
            "用户@例子.广告",
            "डेटा@डेटामेल.भारत",
            "Zoë@exämple.de",
            "admin@localhost",
            "x@1.2-3.com",
        ] {
            assert!(is_address(text), "{text}");
        }
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@b.co",
            "a@b",
            "a@@b.co",
            "a@b@c.co",
            "a b@c.co",
            "a@b .co",
            "a@b..co",
            "a@.co",
            "a@b.co.",
            "a@-b.co",
            "a@b-.co",
            ".a@b.co",
            "a.@b.co",
            "a..b@c.co",
            "a\n@b.co",
            "a@b.co\r\nBcc: x",
            "a\0@b.co",
            "<a@b.co>",
            "\"a b\"@c.co",
            "a@[127.0.0.1]",
            "a@b_c.co",
            " a@b.co",
            "a@b.co ",
        ] {
            assert!(!is_address(text), "{text:?}");
        }
    }

    #[test]
    fn lengths_are_bounded_in_bytes() {
        let domain = format!("{}.{}.{}.example", "d".repeat(60), "d".repeat(60), "d".repeat(57));
        let longest = format!("{}@{domain}", "l".repeat(64));
        assert_eq!(longest.len(), 252);
        assert!(is_address(&longest));
        assert!(!is_address(&format!("{}@example.com", "l".repeat(65))));
        assert!(!is_address(&format!("{}@{domain}x.com", "l".repeat(64))));
        assert!(!is_address(&format!("a@{}.com", "d".repeat(64))));
    }

    #[test]
    fn addresses_that_differ_in_case_or_in_composition_have_the_same_key() {
        let key = |text: &str| text.parse::<EmailAddress>().unwrap().key();
        assert_eq!(key("ADA@Example.COM"), "ada@example.com");
        assert_eq!(key("ZOË@example.com"), key("zoe\u{308}@example.com"));
    }

    #[test]
    fn the_error_can_be_shown_to_the_user() {
        assert_eq!("x".parse::<EmailAddress>().unwrap_err().to_string(), "must be an e-mail address");
    }
}
