//! A name as words, and the forms in which code and prose write it.

use std::fmt;

/// One or more lower-case words, as in `order-items`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words(Vec<String>);

impl Words {
    /// Reads words that are joined by `-`: 30 letters at most.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
        if text.len() <= 30 && text.split('-').all(is_word) {
            Ok(Self(text.split('-').map(str::to_owned).collect()))
        } else {
            Err(format!("`{text}` is not a name: write up to 30 letters a-z, with - between words"))
        }
    }

    /// Returns the same words with another last one.
    pub(crate) fn with_last(&self, change: impl FnOnce(&str) -> Option<String>) -> Option<Self> {
        let (last, first) = self.0.split_last()?;
        Some(Self(first.iter().cloned().chain([change(last)?]).collect()))
    }

    /// `order-items`: folders, packages, paths, permissions, tags.
    pub(crate) fn kebab(&self) -> String {
        self.0.join("-")
    }

    /// `order_items`: variables, functions, modules, collections.
    pub(crate) fn snake(&self) -> String {
        self.0.join("_")
    }

    /// `ORDER_ITEMS`: constants, error codes.
    pub(crate) fn screaming(&self) -> String {
        self.snake().to_ascii_uppercase()
    }

    /// `OrderItems`: types.
    pub(crate) fn pascal(&self) -> String {
        self.0.iter().map(|word| capitalized(word)).collect()
    }

    /// `order items`: prose.
    pub(crate) fn prose(&self) -> String {
        self.0.join(" ")
    }

    /// `Order items`: the beginning of a sentence.
    pub(crate) fn sentence(&self) -> String {
        capitalized(&self.prose())
    }

    /// Whether English writes `an` before it and not `a`.
    pub(crate) fn takes_an(&self) -> bool {
        let word = self.0[0].as_str();
        let begins = |sounds: &[&str]| sounds.iter().any(|sound| word.starts_with(sound));
        // The sound decides: a user, a one-off, an hour.
        begins(&["hour", "honor", "honour", "heir"])
            || begins(&["a", "e", "i", "o", "u"])
                && !begins(&["uni", "use", "usa", "uti", "eu", "one", "once"])
    }
}

fn capitalized(word: &str) -> String {
    word[..1].to_ascii_uppercase() + &word[1..]
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kebab())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_written_in_six_forms() {
        let words = Words::parse("order-items").unwrap();
        let forms = [words.kebab(), words.snake(), words.screaming(), words.pascal(), words.prose()];
        assert_eq!(forms, ["order-items", "order_items", "ORDER_ITEMS", "OrderItems", "order items"]);
        assert_eq!(words.sentence(), "Order items");
    }

    #[test]
    fn other_characters_than_letters_and_single_hyphens_are_refused() {
        for text in ["", "Books", "my_books", "-books", "books-", "a--b", "b00ks", "bücher", &"a".repeat(31)]
        {
            let fault = Words::parse(text).unwrap_err();
            assert!(fault.contains("with - between words"), "{fault}");
        }
    }

    #[test]
    fn the_article_follows_the_sound() {
        let takes_an = |text: &str| Words::parse(text).unwrap().takes_an();
        for word in ["author", "invoice-item", "umbrella", "hour"] {
            assert!(takes_an(word), "{word}");
        }
        for word in ["book", "user-group", "unit", "house", "one-off", "european-city"] {
            assert!(!takes_an(word), "{word}");
        }
    }
}
