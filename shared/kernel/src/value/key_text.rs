//! Texts by which people name something: addresses, codes, slugs. Two spellings that look the same are the same key.

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;

use super::characters::{is_mark, is_private, is_space, is_unassigned, is_visible};

/// Why a text cannot be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyText {
    /// It has a character that is not seen, such as a control of direction or a space without width.
    #[error("must not contain the invisible character U+{:04X}", u32::from(*.0))]
    Invisible(char),
    /// It has a character that Unicode has not assigned or leaves to private use. What it means, and its normal form, may
    /// change.
    #[error("must not contain U+{:04X}, which is not assigned to a character", u32::from(*.0))]
    Unassigned(char),
}

/// The spelling of a key that is stored and shown: in Unicode's form NFKC, which has one form for what looks the same, with
/// spaces of any width as U+0020. Case is kept.
///
/// ```
/// use switchyard_kernel::value::{InvalidKeyText, key_spelling};
///
/// assert_eq!(key_spelling("ＳＡＶＥ１０")?, "SAVE10");
/// assert_eq!(key_spelling("SAVE\u{200b}10"), Err(InvalidKeyText::Invisible('\u{200b}')));
/// # Ok::<(), InvalidKeyText>(())
/// ```
pub fn key_spelling(text: &str) -> Result<String, InvalidKeyText> {
    for c in text.chars() {
        if is_unassigned(c) || is_private(c) {
            return Err(InvalidKeyText::Unassigned(c));
        }
        if !(is_visible(c) || is_mark(c) || is_space(c)) {
            return Err(InvalidKeyText::Invisible(c));
        }
    }
    Ok(compatible(text).chars().map(|c| if is_space(c) { ' ' } else { c }).collect())
}

/// The form of a key that is compared, and that a unique attribute or an id is made of: its spelling without regard to case
/// (Unicode's full case folding, so that `STRASSE` is `straße`). Lengths are counted on it.
///
/// It stays the same in later versions of Unicode, because [`key_spelling`] refuses what is not assigned yet
/// (<https://www.unicode.org/policies/stability_policy.html>).
///
/// ```
/// use switchyard_kernel::value::folded_key;
///
/// assert_eq!(folded_key("Zoe\u{308}")?, folded_key("ZOË")?);
/// # Ok::<(), switchyard_kernel::value::InvalidKeyText>(())
/// ```
pub fn folded_key(text: &str) -> Result<String, InvalidKeyText> {
    key_spelling(text).map(|spelling| folded(&spelling))
}

/// The spelling `text` without regard to case. Folding can make a form that is not normal, and normalizing one that is not
/// folded; twice is enough (Unicode Standard, section 3.13, D147).
fn folded(text: &str) -> String {
    (0..2).fold(text.to_owned(), |text, _| compatible(&CaseMapper::new().fold_string(&text)))
}

fn compatible(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfkc().normalize(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_look_the_same_are_one_key() {
        for (one, other) in [
            ("ZOË", "zoe\u{308}"),
            ("ＡＤＡ", "ada"),
            ("ﬁna", "FINA"),
            ("STRASSE", "straße"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("SAVE\u{a0}10", "save 10"),
            ("Å", "\u{212b}"),
            ("Ꭰ", "ꭰ"),
        ] {
            assert_eq!(folded_key(one), folded_key(other), "{one} {other}");
        }
        // These look different: a Turkish letter, and a letter of another script.
        assert_ne!(folded_key("ı"), folded_key("i"));
        assert_ne!(folded_key("а"), folded_key("a"));
    }

    #[test]
    fn what_is_not_seen_is_refused_and_named() {
        for c in "\0\n\u{ad}\u{200b}\u{200d}\u{200e}\u{202e}\u{2028}\u{2060}\u{3164}\u{fe0f}\u{feff}".chars()
        {
            assert_eq!(key_spelling(&format!("a{c}")), Err(InvalidKeyText::Invisible(c)));
        }
        for c in "\u{378}\u{fdd0}\u{ffff}\u{e000}\u{10ffff}".chars() {
            assert_eq!(key_spelling(&format!("a{c}")), Err(InvalidKeyText::Unassigned(c)));
        }
        let shown = |text| key_spelling(text).unwrap_err().to_string();
        assert_eq!(shown("a\u{ad}"), "must not contain the invisible character U+00AD");
        assert_eq!(shown("\u{10ffff}"), "must not contain U+10FFFF, which is not assigned to a character");
    }

    #[test]
    fn a_key_of_any_character_is_its_own_key() {
        for text in (char::MIN..=char::MAX).map(String::from) {
            let Ok(spelling) = key_spelling(&text) else { continue };
            let key = folded(&spelling);
            if key != text {
                assert_eq!(key_spelling(&spelling).as_ref(), Ok(&spelling), "{text:?}");
                assert_eq!(folded_key(&key).as_ref(), Ok(&key), "{text:?}");
                assert_eq!(folded_key(&text.to_lowercase()), Ok(key), "{text:?}");
            }
        }
    }
}
