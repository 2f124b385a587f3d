//! Turns text into search terms, so that every backend finds the same documents.
//!
//! A term is a Unicode word (UAX #29), lower-cased, without diacritics: `Zoë O’Hara` gives `zoe` and `o’hara`.
//! Letters without a decomposition get their usual plain spelling if they have one (`ø` becomes `o`, `ß` becomes
//! `ss`).

use std::collections::BTreeSet;
use std::ops::Bound;

use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::limits::{MAX_SEARCH_BYTES, MAX_SEARCH_TERMS, MAX_TERM_BYTES, MAX_TERMS};
use crate::{Body, Collection, Error, Result};

/// The terms of a document: the first [`MAX_TERMS`] distinct terms in its search fields.
pub fn of_document(collection: &Collection, body: &Body) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    let texts = collection.search.iter().filter_map(|field| body.get(*field)?.as_str());
    for term in texts.flat_map(words) {
        if terms.len() == MAX_TERMS {
            break;
        }
        terms.insert(term);
    }
    terms
}

/// The terms of a search's text.
pub fn of_search(text: &str) -> Result<BTreeSet<String>> {
    if text.len() > MAX_SEARCH_BYTES {
        return Err(Error::Limit(format!(
            "the text of a search has {} bytes; at most {MAX_SEARCH_BYTES} are allowed",
            text.len()
        )));
    }
    let terms: BTreeSet<String> = words(text).collect();
    if terms.len() > MAX_SEARCH_TERMS {
        return Err(Error::Limit(format!(
            "the text of a search has {} words; at most {MAX_SEARCH_TERMS} are allowed",
            terms.len()
        )));
    }
    Ok(terms)
}

/// The term whose entries a search reads: the longest one, which is likely the rarest. Of several longest terms,
/// it is the lowest one.
pub(crate) fn leading(terms: &BTreeSet<String>) -> Option<&String> {
    terms.iter().max_by_key(|term| (term.len(), std::cmp::Reverse(*term)))
}

/// Whether a document with `terms` has every one of `wanted` as a term or as a prefix of one.
pub(crate) fn has_all(terms: &BTreeSet<String>, wanted: &BTreeSet<String>) -> bool {
    wanted.iter().all(|prefix| lowest_with_prefix(terms, prefix).is_some())
}

/// The lowest of `terms` that begins with `prefix`, under which a search finds the document.
pub(crate) fn lowest_with_prefix<'a>(terms: &'a BTreeSet<String>, prefix: &str) -> Option<&'a String> {
    terms
        .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .next()
        .filter(|term| term.starts_with(prefix))
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let folded = fold(text);
    folded.unicode_words().map(cut).map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// Applies compatibility decomposition, converts to lower case, removes diacritics and composes again (otherwise
/// Hangul stays split into its letters).
fn fold(text: &str) -> String {
    let lower = text.nfkd().collect::<String>().to_lowercase();
    let mut plain = String::with_capacity(lower.len());
    for c in lower.nfkd().filter(|&c| c != '\0' && !is_diacritic(c)) {
        match c {
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'þ' => plain.push_str("th"),
            'ø' => plain.push('o'),
            'đ' | 'ð' => plain.push('d'),
            'ł' => plain.push('l'),
            'ħ' => plain.push('h'),
            'ı' => plain.push('i'),
            'ς' => plain.push('σ'), // the form at the end of a word, where a longer word has `σ`
            _ => plain.push(c),
        }
    }
    plain.nfc().collect()
}

/// Whether `c` is a mark that people often omit when typing. The vowel signs of Indic and other scripts are marks
/// too, but omitting them makes other words, so they are kept.
fn is_diacritic(c: char) -> bool {
    matches!(c,
        '\u{0300}'..='\u{036f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{0591}'..='\u{05bd}' | '\u{05bf}' | '\u{05c1}'..='\u{05c2}' | '\u{05c4}'..='\u{05c5}' | '\u{05c7}' // Hebrew
        | '\u{064b}'..='\u{0652}' | '\u{0670}' // Arabic
    )
}

fn cut(word: &str) -> &str {
    &word[..word.floor_char_boundary(MAX_TERM_BYTES)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn terms(text: &str) -> Vec<String> {
        of_search(text).unwrap().into_iter().collect()
    }

    #[test]
    fn words_are_lower_cased_and_lose_their_diacritics() {
        assert_eq!(terms("Zoë  ÅNGSTRÖM-Łódź"), ["angstrom", "lodz", "zoe"]);
        assert_eq!(terms("Straße Ørsted"), ["orsted", "strasse"]);
        assert_eq!(terms("ΟΔΥΣΣΕΥΣ"), terms("Ὀδυσσεύς"));
        assert_eq!(terms("İstanbul ISTANBUL"), ["istanbul"]);
        assert_eq!(terms("ﬁne"), ["fine"]);
    }

    #[test]
    fn scripts_without_diacritics_keep_their_marks() {
        assert_eq!(terms("한글"), ["한글"]);
        assert_eq!(terms("हिन्दी"), ["हिन्दी"]);
        assert_eq!(terms("山田"), ["山", "田"]);
        assert_eq!(terms("مُحَمَّد"), terms("محمد"));
    }

    #[test]
    fn metacharacters_are_not_terms() {
        assert_eq!(terms("%_*'\";--:&|!()\\"), [""; 0]);
        assert_eq!(terms("a&b | c:*"), ["a", "b", "c"]);
    }

    #[test]
    fn long_words_are_cut_in_the_same_way_in_documents_and_searches() {
        let long = "é".repeat(100);
        let term = "e".repeat(MAX_TERM_BYTES);
        assert_eq!(terms(&long), std::slice::from_ref(&term));
        const NOTES: &Collection = &Collection::new("notes").search(&["text"]);
        let body = json!({"text": long, "other": "unseen"});
        assert_eq!(of_document(NOTES, body.as_object().unwrap()).into_iter().collect::<Vec<_>>(), [term]);
    }

    #[test]
    fn the_leading_term_is_the_longest_and_then_the_lowest() {
        let wanted = of_search("ab xyz abc").unwrap();
        assert_eq!(leading(&wanted).unwrap(), "abc");
    }
}
