//! Inserting lines into existing files.
//!
//! Each place is found by text that the file has for its own sake. If the text is not there, or there twice,
//! nothing is guessed: the insertion fails and names the text.

/// Where to insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Into the paragraph of a TOML section that has a line with this text, in the order of the keys.
    Sorted {
        /// As in `[dependencies]`.
        section: &'static str,
        /// As in `path = "shared/`.
        beside: &'static str,
    },
    /// Before the line that begins with this text, with the same indentation.
    Before(&'static str),
    /// After the last line with this text.
    AfterLast(&'static str),
    /// As the last item of the list that follows this text and ends with `];`.
    Last(&'static str),
}

/// The text of the place that was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) String);

impl Place {
    /// Returns `text` with `line` inserted. For a list, `line` is the item.
    pub(crate) fn insert(self, text: &str, line: &str) -> Result<String, Missing> {
        match self {
            Self::Sorted { section, beside } => insert_sorted(text, section, beside, line),
            Self::Before(anchor) => insert_before(text, anchor, line),
            Self::AfterLast(anchor) => insert_after_last(text, anchor, line),
            Self::Last(opening) => insert_item(text, opening, line),
        }
    }
}

fn insert_sorted(text: &str, section: &str, beside: &str, line: &str) -> Result<String, Missing> {
    let missing = || Missing(format!("{section} with a line `{beside}`"));
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| *line == section).ok_or_else(missing)? + 1;
    let length = lines[first..].iter().position(|line| line.starts_with('['));
    let last = length.map_or(lines.len(), |length| first + length);
    let found = lines[first..last].iter().position(|line| line.contains(beside)).ok_or_else(missing)? + first;
    let is_empty = |at: &usize| lines[*at].is_empty();
    let from = (first..found).rev().find(is_empty).map_or(first, |at| at + 1);
    let to = (found..last).find(is_empty).unwrap_or(last);
    let at = (from..to).find(|at| key(lines[*at]) > key(line)).unwrap_or(to);
    Ok(with_line(&lines, at, line))
}

/// The key of a line of TOML: `switchyard-api` of `switchyard-api.workspace = true`.
pub(crate) fn key(line: &str) -> &str {
    line.split(['.', ' ', '=']).next().unwrap_or_default()
}

fn insert_before(text: &str, anchor: &str, line: &str) -> Result<String, Missing> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = (0..lines.len()).filter(|at| lines[*at].trim_start().starts_with(anchor));
    let (Some(at), None) = (found.next(), found.next()) else {
        return Err(Missing(format!("one line that begins with `{anchor}`")));
    };
    let indentation = &lines[at][..lines[at].len() - lines[at].trim_start().len()];
    Ok(with_line(&lines, at, &format!("{indentation}{line}")))
}

fn insert_after_last(text: &str, anchor: &str, line: &str) -> Result<String, Missing> {
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().rposition(|line| line.contains(anchor));
    let at = last.ok_or_else(|| Missing(format!("a line with `{anchor}`")))?;
    Ok(with_line(&lines, at + 1, line))
}

fn with_line(lines: &[&str], at: usize, line: &str) -> String {
    let (before, after) = lines.split_at(at);
    [before, &[line], after].concat().iter().map(|line| format!("{line}\n")).collect()
}

fn insert_item(text: &str, opening: &str, item: &str) -> Result<String, Missing> {
    let missing = || Missing(format!("one list that follows `{opening}` and ends with `];`"));
    let (before, list) = text.split_once(opening).ok_or_else(missing)?;
    // The list may begin on the next line.
    let (bracket, items) = list.split_once('[').ok_or_else(missing)?;
    let (items, after) = items.split_once("];").ok_or_else(missing)?;
    if !matches!(bracket.trim(), "" | "&") || items.contains(" = ") || list.contains(opening) {
        return Err(missing()); // another list, the end of another one, or a second one
    }
    let items = match items.trim_end().strip_suffix(',') {
        Some(items) => format!("{items},\n    {item},\n"),
        None if items.trim().is_empty() => item.to_owned(),
        None => format!("{items}, {item}"),
    };
    Ok(format!("{before}{opening}{bracket}[{items}];{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
[workspace.dependencies]
switchyard-api = { path = \"shared/api\" }
switchyard-kernel = { path = \"shared/kernel\" }

switchyard-fn-auth = { path = \"functions/auth\" }

anyhow = \"1\"

[workspace.lints]
x = 1
";

    fn sorted(beside: &'static str) -> Place {
        Place::Sorted { section: "[workspace.dependencies]", beside }
    }

    #[test]
    fn a_dependency_goes_to_its_place_in_its_paragraph() {
        let insert = |beside, line: &str| sorted(beside).insert(MANIFEST, line).unwrap();
        let books = insert("shared/", "switchyard-books = 1");
        assert!(books.contains("\"shared/api\" }\nswitchyard-books = 1\nswitchyard-kernel"), "{books}");
        let first = insert("shared/", "switchyard-a = 1");
        assert!(first.contains("dependencies]\nswitchyard-a = 1\nswitchyard-api"), "{first}");
        let last = insert("functions/", "switchyard-fn-books = 1");
        assert!(last.contains("\"functions/auth\" }\nswitchyard-fn-books = 1\n\nanyhow"), "{last}");
        // Each line but the new one is as it was.
        for text in [books, first, last] {
            let others: Vec<_> =
                text.lines().filter(|line| !line.ends_with("= 1") || *line == "x = 1").collect();
            assert_eq!(others, MANIFEST.lines().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let missing = sorted("x =").insert(MANIFEST, "switchyard-books = 1").unwrap_err();
        assert_eq!(missing.0, "[workspace.dependencies] with a line `x =`");
        let place = Place::Sorted { section: "[dependencies]", beside: "anyhow" };
        assert_eq!(place.insert(MANIFEST, "b = 1").unwrap_err().0, "[dependencies] with a line `anyhow`");
    }

    #[test]
    fn a_line_is_inserted_before_the_only_one_that_begins_so() {
        let place = Place::Before(".merge(system");
        let text = "router()\n    .merge(auth())\n    .merge(system())\n";
        let expected = "router()\n    .merge(auth())\n    .merge(books())\n    .merge(system())\n";
        assert_eq!(place.insert(text, ".merge(books())").unwrap(), expected);
        for text in ["router()\n", &text.repeat(2)] {
            assert_eq!(place.insert(text, "x").unwrap_err().0, "one line that begins with `.merge(system`");
        }
    }

    #[test]
    fn a_row_follows_the_last_one_of_its_kind() {
        let place = Place::AfterLast("| domain |");
        let text = "| a | domain |\n| b | domain |\n| c | list |\n";
        assert_eq!(
            place.insert(text, "| n |").unwrap(),
            "| a | domain |\n| b | domain |\n| n |\n| c | list |\n"
        );
        assert_eq!(place.insert("| c |\n", "| n |").unwrap_err().0, "a line with `| domain |`");
    }

    #[test]
    fn an_item_is_appended_to_a_list_of_one_line_or_several() {
        let place = Place::Last("const ALL: List =");
        let insert = |text| place.insert(text, "c");
        assert_eq!(insert("const ALL: List = &[a, b];\nx").unwrap(), "const ALL: List = &[a, b, c];\nx");
        assert_eq!(insert("const ALL: List = &[];").unwrap(), "const ALL: List = &[c];");
        let several = "const ALL: List = &[\n    a,\n    b,\n];\nx";
        assert_eq!(insert(several).unwrap(), "const ALL: List = &[\n    a,\n    b,\n    c,\n];\nx");
        for text in
            ["const OTHER: List = &[];", "const ALL: List = &[a", "const ALL: List = &[a]\nlet b = [];"]
        {
            assert!(insert(text).unwrap_err().0.starts_with("one list that follows"), "{text}");
        }
        assert!(insert(&"const ALL: List = &[a];".repeat(2)).is_err());
    }
}
