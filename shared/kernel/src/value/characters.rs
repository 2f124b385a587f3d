//! Classes of characters, by the properties that Unicode gives them.

use icu_properties::props::{BidiControl, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};

/// What has a shape of its own: letters, numbers, punctuation and symbols.
const SHAPES: GeneralCategoryGroup = GeneralCategoryGroup::Letter
    .union(GeneralCategoryGroup::Number)
    .union(GeneralCategoryGroup::Punctuation)
    .union(GeneralCategoryGroup::Symbol);

/// Whether `c` does not belong into a text of one line: a control character, which can forge log lines and mail headers; a
/// separator of lines or paragraphs; or a control of direction, which can make the text around it read as another
/// (<https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>).
pub fn is_line_control(c: char) -> bool {
    use GeneralCategory::{Control, LineSeparator, ParagraphSeparator};
    matches!(category(c), Control | LineSeparator | ParagraphSeparator)
        || CodePointSetData::new::<BidiControl>().contains(c)
}

/// Whether a reader sees `c`: a letter, a number, punctuation or a symbol.
///
/// Some letters are blank, such as the Hangul fillers. Unicode lists them with the other characters that are not shown.
pub fn is_visible(c: char) -> bool {
    const BRAILLE_PATTERN_BLANK: char = '\u{2800}'; // a symbol without a dot
    SHAPES.contains(category(c)) && !is_ignorable(c) && c != BRAILLE_PATTERN_BLANK
}

/// Whether `c` is a mark that modifies the character before it, and is seen.
pub fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(category(c)) && !is_ignorable(c)
}

/// Whether `c` is a space, of any width.
pub fn is_space(c: char) -> bool {
    category(c) == GeneralCategory::SpaceSeparator
}

/// Whether Unicode has not assigned `c` to a character. A later version may, and may then give it another normal form.
pub fn is_unassigned(c: char) -> bool {
    category(c) == GeneralCategory::Unassigned
}

/// Whether Unicode leaves the meaning of `c` to private agreements.
pub(super) fn is_private(c: char) -> bool {
    category(c) == GeneralCategory::PrivateUse
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_characters_are_not_visible_whatever_their_category() {
        let blank = "\u{20}\u{a0}\u{ad}\u{34f}\u{115f}\u{1160}\u{180e}\u{200b}\u{200c}\u{200d}\u{2028}\u{2060}\u{2800}\
                     \u{3000}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{e0041}\u{e000}\u{fdd0}\u{378}";
        for c in blank.chars() {
            assert!(!is_visible(c), "U+{:04X}", u32::from(c));
        }
        for c in "a李7-€👩한ـ".chars() {
            assert!(is_visible(c), "{c}");
        }
    }

    #[test]
    fn lines_are_broken_and_turned_by_more_than_control_characters() {
        let controls = "\0\t\n\r\u{1b}\u{7f}\u{85}\u{9f}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\
                        \u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        for c in controls.chars() {
            assert!(is_line_control(c), "U+{:04X}", u32::from(c));
        }
        // Persian, Thai and emoji need these.
        for c in " \u{200b}\u{200c}\u{200d}\u{fe0f}\u{e0067}".chars() {
            assert!(!is_line_control(c), "U+{:04X}", u32::from(c));
        }
    }
}
