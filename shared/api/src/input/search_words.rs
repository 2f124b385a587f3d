use switchyard_database::terms;

/// The rule of a query parameter that searches: `#[deserr(default, try_from(Option<String>) = search_words -> &'static str)]`.
///
/// Returns `None` for an empty text, which does not search.
///
/// # Errors
///
/// If the text has more than 100 characters, or more different words than a search may ask for.
pub fn search_words(text: Option<String>) -> Result<Option<String>, &'static str> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let fits = text.chars().count() <= 100 && terms::of_search(&text).is_ok();
    if fits { Ok(Some(text)) } else { Err("must have at most 100 characters and 16 different words") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_does_not_search_and_a_long_one_is_refused() {
        let words = |text: &str| search_words(Some(text.to_owned()));
        assert_eq!(search_words(None), Ok(None));
        assert_eq!(words(" \t"), Ok(None));
        assert_eq!(words("ada love"), Ok(Some("ada love".to_owned())));
        assert_eq!(words(&"ä".repeat(100)), Ok(Some("ä".repeat(100))));
        for text in ["x".repeat(101), "a b c d e f g h i j k l m n o p q".to_owned()] {
            assert_eq!(words(&text), Err("must have at most 100 characters and 16 different words"));
        }
    }
}
