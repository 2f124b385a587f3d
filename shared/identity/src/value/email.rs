use std::borrow::Cow;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use switchyard_kernel::text_value;
use switchyard_kernel::value::{InvalidKeyText, folded_key, is_mark, key_spelling};

/// An e-mail address.
///
/// It is kept as the user wrote it, in Unicode's form NFKC: `ａｄａ＠example.com` is kept as `ada@example.com`. Mail goes to
/// this text of the account, never to the text in a request, which may be another spelling of the same [key](Self::key).
///
/// Its form is checked loosely: one `@`; a local part of 1 to 64 bytes that may be internationalised (RFC 6531); a domain of
/// at least two labels, or `localhost`; no character that is invisible, that Unicode has not assigned, or that controls the
/// direction of text. Lengths are counted on the key. Only sending a mail can show whether the address works.
///
/// ```
/// use switchyard_identity::EmailAddress;
///
/// let address: EmailAddress = "Zoë@Exämple.com".parse()?;
/// assert_eq!(address.as_str(), "Zoë@Exämple.com");
/// assert_eq!(address.key(), "zoë@xn--exmple-cua.com");
/// # Ok::<(), switchyard_identity::InvalidEmail>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = String,
    description = "An e-mail address of at most 254 bytes. It is kept as written, in Unicode's form NFKC. Two addresses are \
        the same if they differ only in case, in the form of their characters, or in how an internationalised domain is \
        written.",
    format = Email,
    max_length = 254,
    example = "ada@example.com"
)]
pub struct EmailAddress(String);

/// Why a text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// It has another form, or it is too long.
    #[error("must be an e-mail address")]
    Form,
    /// It has a character that no address may have.
    #[error(transparent)]
    Character(#[from] InvalidKeyText),
}

/// RFC 5321 §4.5.3.1.3, less the angle brackets.
const MAX_BYTES: usize = 254;
const MAX_LOCAL_BYTES: usize = 64;

impl EmailAddress {
    /// The unique form of the address: two spellings of one address have the same key.
    ///
    /// The local part is a [folded key](folded_key). Mail servers may distinguish case in it (RFC 5321 §2.4), but no relevant
    /// server does, and people do not either. The domain is in the form in which it is looked up (UTS #46), so
    /// that `exämple.de` and `xn--exmple-cua.de` are one.
    pub fn key(&self) -> String {
        // A stored address was valid when it was written, so these alternatives are for corrupt ones.
        self.checked_key().unwrap_or_else(|_| self.0.to_lowercase())
    }

    /// The local part and the domain.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.0.split_once('@').unwrap_or((&self.0, ""))
    }

    fn checked_key(&self) -> Result<String, InvalidEmail> {
        let (local, domain) = self.parts();
        let (local, domain) = (folded_key(local)?, ascii_domain(domain).ok_or(InvalidEmail::Form)?);
        let key = format!("{local}@{domain}");
        let length_fits = (1..=MAX_LOCAL_BYTES).contains(&local.len()) && key.len() <= MAX_BYTES;
        if length_fits { Ok(key) } else { Err(InvalidEmail::Form) }
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        if text.chars().count() > MAX_BYTES {
            return Err(InvalidEmail::Form);
        }
        let address = Self(key_spelling(&text)?);
        if !is_local_part(address.parts().0) {
            return Err(InvalidEmail::Form);
        }
        address.checked_key()?;
        Ok(address)
    }
}

text_value!(EmailAddress, InvalidEmail);

/// Quoted local parts (`"a b"@example.com`) are refused: practically no one has one, and they allow injection.
fn is_local_part(local: &str) -> bool {
    let fits = |c: char| !r#" "(),:;<>@[\]"#.contains(c);
    let is_atom = |atom: &str| atom.chars().next().is_some_and(|first| !is_mark(first));
    local.chars().all(fits) && local.split('.').all(is_atom)
}

/// The domain as it is looked up in the DNS: lower case, each label of letters, digits and hyphens.
fn ascii_domain(domain: &str) -> Option<Cow<'_, str>> {
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .ok()?;
    (ascii.contains('.') || ascii == "localhost").then_some(ascii)
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
            "ada@xn--exmple-cua.de",
            "ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ",
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
            "a\u{a0}b@c.co",
            "a\u{b4}b@c.co", // with a space in form NFKC
            "\u{301}a@b.co",
            "a.\u{301}@b.co",
            "a@xn--b.co", // not Punycode
            "a@\u{301}b.co",
            "a@b\u{2100}c.co", // with a slash in form NFKC
            "a@אa.co",
        ] {
            assert!(!is_address(text), "{text:?}");
        }
    }

    #[test]
    fn lengths_are_bounded_in_bytes_of_the_key() {
        let domain = format!("{}.{}.{}.example", "d".repeat(60), "d".repeat(60), "d".repeat(57));
        let longest = format!("{}@{domain}", "l".repeat(64));
        assert_eq!(longest.len(), 252);
        assert!(is_address(&longest));
        assert!(!is_address(&format!("{}@example.com", "l".repeat(65))));
        assert!(!is_address(&format!("{}@{domain}x.com", "l".repeat(64))));
        assert!(!is_address(&format!("a@{}.com", "d".repeat(64))));
        // 60 bytes that case folding makes longer, and a label of 59 bytes that is longer in ASCII.
        assert!(is_address(&format!("{}@b.co", "ß".repeat(32))));
        assert!(!is_address(&format!("{}@b.co", "İ".repeat(30))));
        assert!(is_address(&format!("a@{}ä.co", "b".repeat(55))));
        assert!(!is_address(&format!("a@{}ä.co", "b".repeat(57))));
        // 254 characters that are shorter in form NFKC.
        assert!(is_address(&format!("{}@b.co", "e\u{301}".repeat(32))));
        assert!(!is_address(&format!("{}@b.co", "e\u{301}".repeat(33))));
    }

    #[test]
    fn spellings_of_one_address_have_the_same_key() {
        let key = |text: &str| text.parse::<EmailAddress>().unwrap().key();
        assert_eq!(key("ADA@Example.COM"), "ada@example.com");
        for spellings in [
            &["ZOË@example.com", "zoe\u{308}@example.com"][..],
            &["b@exämple.de", "b@xn--exmple-cua.de", "B@EXA\u{308}MPLE.DE", "b@XN--EXMPLE-CUA.DE"],
            &["ada@example.com", "ａｄａ@ｅｘａｍｐｌｅ.com", "ada＠example.com", "ada@example。com"],
            &["ﬁona@example.com", "FIONA@example.com"],
            &["STRASSE@example.com", "straße@example.com"],
        ] {
            for spelling in spellings {
                assert_eq!(key(spelling), key(spellings[0]), "{spelling}");
            }
        }
        // A domain with ß is another domain (IDNA 2008), and other letters are other addresses.
        assert_ne!(key("a@straße.de"), key("a@strasse.de"));
        assert_ne!(key("mıke@example.com"), key("mike@example.com"));
        assert_ne!(key("a.b@example.com"), key("ab@example.com"));
    }

    #[test]
    fn an_address_is_kept_as_written_in_its_normal_form() {
        let kept = |text: &str| String::from(text.parse::<EmailAddress>().unwrap());
        assert_eq!(kept("Zoe\u{308}@Exa\u{308}mple.DE"), "Zoë@Exämple.DE");
        assert_eq!(kept("Ａda＠Example．com"), "Ada@Example.com");
        assert_eq!(kept("b@XN--exmple-cua.de"), "b@XN--exmple-cua.de");
    }

    #[test]
    fn the_error_can_be_shown_to_the_user() {
        let error = |text: &str| text.parse::<EmailAddress>().unwrap_err().to_string();
        assert_eq!(error("x"), "must be an e-mail address");
        assert_eq!(error("ada\u{200b}@b.co"), "must not contain the invisible character U+200B");
        assert_eq!(error("ada@b\u{ad}.co"), "must not contain the invisible character U+00AD");
        assert_eq!(error("\u{202e}ada@b.co"), "must not contain the invisible character U+202E");
        assert_eq!(error("ada\n@b.co"), "must not contain the invisible character U+000A");
        assert_eq!(error("a\u{378}@b.co"), "must not contain U+0378, which is not assigned to a character");
        assert_eq!(error("a@\u{e000}.co"), "must not contain U+E000, which is not assigned to a character");
    }
}
