use std::collections::HashSet;
use std::hash::Hash;

use oxilangtag::LanguageTag;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use switchyard_kernel::text_value;

/// A language tag (BCP 47) of at most 100 characters, with extensions such as `en-US-u-mu-celsius`. It is kept in the canonical
/// case: `EN-us` becomes `en-US`. No variant and no extension may be repeated.
//
// Programs refuse tags in which they are. Whether the language exists is not checked: the registry grows every month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = String,
    max_length = 100,
    // The grammar of RFC 5646 §2.1, without the irregular tags of earlier standards.
    pattern = "^(([A-Za-z]{2,3}(-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?\
        (-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*(-[0-9A-WY-Za-wy-z](-[A-Za-z0-9]{2,8})+)*(-[Xx](-[A-Za-z0-9]{1,8})+)?\
        |[Xx](-[A-Za-z0-9]{1,8})+)$",
    example = "pt-BR"
)]
pub struct LocaleTag(String);

/// The text is not a language tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a language tag of at most 100 characters as in en or pt-BR (BCP 47)")]
pub struct InvalidLocaleTag;

/// RFC 5646 §4.4.1 needs 35 characters for a language, a script, a region and variants. The rest is for extensions: with all
/// regional preferences, Android sends about 60.
const MAX_CHARACTERS: usize = 100;

impl TryFrom<String> for LocaleTag {
    type Error = InvalidLocaleTag;

    fn try_from(text: String) -> Result<Self, InvalidLocaleTag> {
        if text.len() > MAX_CHARACTERS {
            return Err(InvalidLocaleTag);
        }
        let tag = LanguageTag::parse_and_normalize(&text).map_err(|_| InvalidLocaleTag)?;
        let fits = are_distinct(tag.variant_subtags())
            && are_distinct(tag.extension_subtags().map(|(singleton, _)| singleton));
        if fits { Ok(Self(tag.into_inner())) } else { Err(InvalidLocaleTag) }
    }
}

fn are_distinct<T: Eq + Hash>(mut parts: impl Iterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    parts.all(|part| seen.insert(part))
}

text_value!(LocaleTag, InvalidLocaleTag);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_kept_in_its_canonical_case() {
        for (text, canonical) in [
            ("en", "en"),
            ("PT-br", "pt-BR"),
            ("zh-hant-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("de-ch-1996", "de-CH-1996"),
            ("ca-ES-VALENCIA", "ca-ES-valencia"),
            ("zh-cmn-hans-cn", "zh-cmn-Hans-CN"),
            ("en-US-u-mu-celsius", "en-US-u-mu-celsius"),
            ("EN-us-U-FW-MON-MU-CELSIUS-T-JP-X-A-BC", "en-US-u-fw-mon-mu-celsius-t-jp-x-a-bc"),
            ("I-KLINGON", "i-klingon"),
            ("x-elvish", "x-elvish"),
        ] {
            assert_eq!(text.parse::<LocaleTag>().unwrap().as_str(), canonical);
        }
        let long = format!("en-x{}", "-abcdefgh".repeat(10));
        assert_eq!(long.parse::<LocaleTag>().unwrap().as_str(), long);
    }

    #[test]
    fn a_text_of_another_form_is_not_a_tag() {
        let long = format!("en-x{}", "-abcdefgh".repeat(11));
        for text in [
            "",
            "e",
            "englishes",
            "en_GB",
            "en-",
            "-en",
            "en--US",
            "en-u",
            "en-x",
            "en-u-a-mu",
            "en-US-GB",
            "en-a-xx-a-yy",
            "sl-rozaj-rozaj",
            "en US",
            "én",
            "en-US@calendar=buddhist",
            "*",
            &long,
        ] {
            assert_eq!(text.parse::<LocaleTag>(), Err(InvalidLocaleTag), "{text}");
        }
    }
}
