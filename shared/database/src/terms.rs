//! Turns text into search terms, so that every backend finds the same documents.
//!
//! Words are Unicode words (UAX #29), lower-cased, without diacritics. Letters without a decomposition get their usual plain
//! spelling if they have one (`ø` becomes `o`, `ß` becomes `ss`). What stands inside of a word without being a letter, a mark or
//! a digit is left out: `O’Connor` is `oconnor`, `A.P.C.` is `apc`. Only the decimal point stays, so that `3.5` is not `35`.
//!
//! A search finds the beginnings of terms. So a text without white space has, for each of its parts, a term from there to its
//! end: `iPhone_15-Pro` has `iphone15pro`, `15pro` and `pro`. There are as many terms as parts, and they find the whole, each
//! part, and parts in a row.
//!
//! An e-mail address has its local part in the same way, but its domain is not taken apart at its dots. Otherwise `com` would be
//! a term of almost every user, written by all of them to the same place.

use std::collections::BTreeSet;
use std::ops::Bound;

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::limits::{MAX_SEARCH_BYTES, MAX_SEARCH_TERMS, MAX_TERM_BYTES, MAX_TERMS};
use crate::{Body, Collection, Error, Result};

/// The terms of a document: the first [`MAX_TERMS`] distinct terms in its search fields.
pub fn of_document(collection: &Collection, body: &Body) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    let texts = collection.search.iter().filter_map(|field| body.get(*field)?.as_str());
    for term in texts.flat_map(terms_of) {
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
    let terms: BTreeSet<String> = words_of(text).into_iter().collect();
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

/// The terms of a document's text, in its order.
fn terms_of(text: &str) -> Vec<String> {
    fold(text).split_whitespace().flat_map(terms_of_run).collect()
}

/// The terms of a text without white space.
fn terms_of_run(run: &str) -> Vec<String> {
    if let Some((local, domain)) = run.rsplit_once('@') {
        let (local, domain) = (parts_of(local), parts_of(domain));
        if !local.is_empty() && !domain.is_empty() {
            return [terms_from(&local, |_| true), terms_from(&domain, |joint| joint != Joint::Inner)]
                .concat();
        }
    }
    terms_from(&parts_of(run), |_| true)
}

/// For each of the parts that `begins`, the text from there to the end, or to where two words touch.
fn terms_from(parts: &[Part], begins: impl Fn(Joint) -> bool) -> Vec<String> {
    let mut terms = Vec::new();
    for row in parts.chunk_by(|_, next| next.joint != Joint::Touch) {
        let joined: String = row.iter().map(|part| &*part.text).collect();
        let mut start = 0;
        for (place, part) in row.iter().enumerate() {
            if place == 0 || begins(part.joint) {
                terms.push(cut(&joined[start..]).to_owned());
            }
            start += part.text.len();
        }
    }
    terms
}

/// The words of a search's text.
fn words_of(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for run in fold(text).split_whitespace() {
        for row in parts_of(run).chunk_by(|_, next| next.joint == Joint::Inner) {
            let word: String = row.iter().map(|part| &*part.text).collect();
            words.push(cut(&word).to_owned());
        }
    }
    words
}

/// A part of a text without white space.
struct Part {
    /// Letters, marks and digits, with a decimal point between digits.
    text: String,
    /// What stands before it.
    joint: Joint,
}

/// What stands between two parts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// Nothing: they are words all the same, as in scripts without spaces.
    Touch,
    /// A sign inside of a word: an apostrophe, a dot. A search for the word leaves it out.
    Inner,
    /// Anything else, such as a hyphen. A search has two words there, because other texts have a space.
    Connector,
}

fn parts_of(run: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut joint = Joint::Touch;
    for segment in run.split_word_bounds() {
        if segment.contains(char::is_alphanumeric) {
            push_parts(&mut parts, segment, joint);
            joint = Joint::Touch;
        } else {
            // The standard has no word around a dot between a letter and a digit: `shop24.de`.
            joint = if segment == "." && joint == Joint::Touch { Joint::Inner } else { Joint::Connector };
        }
    }
    parts
}

/// Adds the parts of a word.
fn push_parts(parts: &mut Vec<Part>, word: &str, mut joint: Joint) {
    let mut text = String::new();
    let mut before = None;
    let mut rest = word.chars().peekable();
    while let Some(c) = rest.next() {
        let is_number = |c: Option<&char>| c.is_some_and(char::is_ascii_digit);
        let is_in_number = is_number(before.as_ref()) && is_number(rest.peek());
        if c.is_alphanumeric() || is_combining_mark(c) {
            text.push(c);
        } else if matches!(c, '.' | ',') && is_in_number {
            text.push('.');
        } else {
            if text.is_empty() {
                joint = Joint::Connector; // a sign with a mark on it, such as `@` with a vowel sign
            } else {
                parts.push(Part { text: std::mem::take(&mut text), joint });
                joint = Joint::Inner;
            }
            if c == '_' {
                joint = Joint::Connector; // in the standard, it is a sign inside of a word
            }
        }
        before = Some(c);
    }
    if !text.is_empty() {
        parts.push(Part { text, joint });
    }
}

/// Applies compatibility decomposition, converts to lower case, removes diacritics and composes again (otherwise
/// Hangul stays split into its letters).
fn fold(text: &str) -> String {
    let lower = text.chars().map(plain_apostrophe).nfkd().collect::<String>().to_lowercase();
    let mut plain = String::with_capacity(lower.len());
    for c in lower.nfkd().filter(|&c| c != '\0' && !is_diacritic(c) && !is_ignorable(c)) {
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
            _ => plain.push(plain_apostrophe(c)),
        }
    }
    plain.nfc().collect()
}

/// Every apostrophe as `'`, and every sign that people type for one. Some of them are letters or accents to Unicode.
fn plain_apostrophe(c: char) -> char {
    match c {
        '`' | '´' | '\u{02b9}'..='\u{02bf}' | '‘' | '’' | '‛' | '′' | '‵' | 'ꞌ' | '\u{1fbd}' | '＇' => {
            '\''
        }
        _ => c,
    }
}

/// Whether `c` is not shown, such as a soft hyphen or the selector of a variant. Two are not ignored, because people write
/// a space in their place.
fn is_ignorable(c: char) -> bool {
    const ZERO_WIDTH_SPACE: char = '\u{200b}';
    const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
    !matches!(c, ZERO_WIDTH_SPACE | ZERO_WIDTH_NON_JOINER)
        && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
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
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn terms(text: &str) -> Vec<String> {
        of_search(text).unwrap().into_iter().collect()
    }

    #[test]
    fn a_document_has_the_whole_and_the_parts_of_its_words() {
        assert_eq!(terms_of("Sinéad O’Connor"), ["sinead", "oconnor", "connor"]);
        assert_eq!(terms_of("L'Oréal"), ["loreal", "oreal"]);
        assert_eq!(terms_of("A.P.C."), ["apc", "pc", "c"]);
        assert_eq!(terms_of("iPhone_15-Pro"), ["iphone15pro", "15pro", "pro"]);
        assert_eq!(terms_of("(T-Shirt, H&M)"), ["tshirt", "shirt", "hm", "m"]);
        assert_eq!(terms_of("col·lecció צה״ל"), ["colleccio", "leccio", "צהל", "ל"]);
        assert_eq!(terms_of("می\u{200c}خواهم"), ["میخواهم", "خواهم"]);
        assert_eq!(terms_of("小米14"), ["小", "米", "14"]);
    }

    #[test]
    fn apostrophes_are_one() {
        for apostrophe in "'’‘‛ʼʻ`´′＇".chars() {
            let name = format!("O{apostrophe}Connor");
            assert_eq!(terms_of(&name), ["oconnor", "connor"], "{name}");
            assert_eq!(terms(&name), ["oconnor"], "{name}");
        }
        assert_eq!(terms("ŉ 'quoted' ‘quoted’"), ["n", "quoted"]);
    }

    #[test]
    fn a_search_leaves_out_signs_inside_of_words_and_splits_at_others() {
        assert_eq!(terms("L’Oréal A.P.C. don't"), ["apc", "dont", "loreal"]);
        assert_eq!(terms("iPhone_15 anne-marie h&m"), ["15", "anne", "h", "iphone", "m", "marie"]);
    }

    #[test]
    fn numbers_keep_their_decimal_point() {
        for text in ["3.5mm", "3,5mm"] {
            assert_eq!((terms_of(text), terms(text)), (vec!["3.5mm".to_owned()], vec!["3.5mm".to_owned()]));
        }
        assert_eq!(terms_of("v1.2.3 31.12.1990"), ["v1.2.3", "31.12.1990"]);
    }

    #[test]
    fn an_address_has_its_local_part_in_parts_and_its_domain_as_one_term() {
        let found = ["adalovelacetag", "lovelacetag", "tag", "mailexamplecom"];
        assert_eq!(terms_of("ada.lovelace+tag@mail.example.com"), found);
        assert_eq!(terms_of("<ada@my-shop24.co.uk>"), ["ada", "myshop24couk", "shop24couk"]);
        assert_eq!(terms_of("@ada_l ada@"), ["adal", "l", "ada"]);
        for address in ["ada.lovelace+tag@mail.example.com", "<ada@my-shop24.co.uk>", "o'hara@1.2-3.com"] {
            let stored = terms_of(address).into_iter().collect();
            assert!(has_all(&stored, &of_search(address).unwrap()), "{address}: {stored:?}");
        }
    }

    proptest! {
        /// Whatever a text is made of, it is found by itself and by each of its words.
        #[test]
        fn a_text_is_found_by_what_it_contains(text in "[a-c1-3ßÉ猫กि'’.,_@&/\\-:· \u{ad}\u{200b}\u{200c}]{0,40}") {
            let stored: BTreeSet<String> = terms_of(&text).into_iter().collect();
            for part in [&*text].into_iter().chain(text.split_whitespace()) {
                let wanted = words_of(part).into_iter().collect();
                prop_assert!(has_all(&stored, &wanted), "{wanted:?} are not in {stored:?}");
            }
        }
    }

    #[test]
    fn characters_that_are_not_shown_make_no_difference() {
        assert_eq!(
            terms_of("co\u{ad}operate 葛\u{e0100}城 Ada\u{200b}Lovelace"),
            ["cooperate", "葛", "城", "adalovelace", "lovelace"]
        );
        assert_eq!(terms("co\u{ad}op 葛\u{fe00}"), ["coop", "葛"]);
    }

    #[test]
    fn a_mark_on_a_sign_is_a_word_of_its_own() {
        assert_eq!(words_of("1.@\u{93f}"), ["1", "\u{93f}"]);
        assert_eq!(terms_of("1.@\u{93f}"), ["1", "\u{93f}"]);
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
