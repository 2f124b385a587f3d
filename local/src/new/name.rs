//! The name of a feature: how many of its objects and one of them are called.

use super::words::Words;

/// The name of a feature in the plural and in the singular.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// As in `books`.
    pub(crate) plural: Words,
    /// As in `book`.
    pub(crate) singular: Words,
}

impl Name {
    /// Reads a name in the plural. Derives the singular, unless it is given.
    ///
    /// # Errors
    ///
    /// The faults of the name.
    pub(crate) fn parse(plural: &str, singular: Option<&str>) -> Result<Self, Vec<String>> {
        let plural = Words::parse(plural).map_err(|fault| vec![fault])?;
        let singular = match singular {
            Some(singular) => Words::parse(singular).map_err(|fault| vec![fault])?,
            None => plural.with_last(singular_of).ok_or_else(|| {
                vec![format!("the singular of `{plural}` is not clear: give it with --singular")]
            })?,
        };
        let mut faults = Vec::new();
        if singular == plural {
            faults.push(format!("the singular of `{plural}` must differ from it: the code names both"));
        }
        for words in [&plural, &singular] {
            if KEYWORDS.contains(&words.snake().as_str()) {
                faults.push(format!("`{words}` is a keyword of Rust"));
            }
        }
        if faults.is_empty() { Ok(Self { plural, singular }) } else { Err(faults) }
    }
}

/// Returns the singular of an English word that follows a rule; `None` if the rule is not clear.
fn singular_of(plural: &str) -> Option<String> {
    // Endings that are no plurals (status), or of which two rules exist (shoes and heroes, caches and branches).
    const UNCLEAR: [&str; 8] = ["ss", "us", "is", "oes", "ves", "uses", "zzes", "aches"];
    // After these sounds the plural has an e of its own.
    const WITH_E: [&str; 4] = ["sses", "xes", "ches", "shes"];
    let ends_with = |endings: &[&str]| endings.iter().any(|ending| plural.ends_with(ending));
    if ends_with(&UNCLEAR) {
        return None;
    }
    if let Some(stem) = plural.strip_suffix("ies") {
        return (stem.len() > 1).then(|| format!("{stem}y"));
    }
    let singular = plural.strip_suffix(if ends_with(&WITH_E) { "es" } else { "s" })?;
    (!singular.is_empty()).then(|| singular.to_owned())
}

/// Words that cannot name a variable, a module or a type.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn singular(plural: &str) -> Result<String, Vec<String>> {
        Name::parse(plural, None).map(|name| name.singular.kebab())
    }

    #[test]
    fn the_singular_follows_simple_rules() {
        for (plural, expected) in [
            ("books", "book"),
            ("categories", "category"),
            ("invoices", "invoice"),
            ("addresses", "address"),
            ("branches", "branch"),
            ("dishes", "dish"),
            ("taxes", "tax"),
            ("prizes", "prize"),
            ("days", "day"),
            ("order-items", "order-item"),
        ] {
            assert_eq!(singular(plural).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn an_unclear_singular_has_to_be_given() {
        for plural in
            ["status", "people", "statuses", "houses", "shoes", "leaves", "caches", "pies", "s", "news-s"]
        {
            let faults = singular(plural).unwrap_err();
            assert!(faults[0].contains("give it with --singular"), "{plural}: {faults:?}");
        }
        let people = Name::parse("people", Some("person")).unwrap();
        assert_eq!((people.plural.kebab(), people.singular.kebab()), ("people".into(), "person".into()));
    }

    #[test]
    fn keywords_and_a_singular_like_the_plural_are_refused() {
        assert_eq!(singular("types"), Err(vec!["`type` is a keyword of Rust".to_owned()]));
        assert_eq!(singular("boxes"), Err(vec!["`box` is a keyword of Rust".to_owned()]));
        let faults = Name::parse("series", Some("series")).unwrap_err();
        assert!(faults[0].contains("must differ"), "{faults:?}");
        assert!(Name::parse("books", Some("Book")).is_err());
    }
}
