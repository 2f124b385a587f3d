//! Breaking comments into lines again, where a longer name made a line too long. `cargo fmt` leaves comments as
//! they are.

/// Longer lines are broken.
const WIDTH: usize = 115;

/// Returns `text` with the paragraphs of its comments broken again that have too long a line.
pub(crate) fn wrap(text: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let paragraphs = lines.chunk_by(|one, next| mark(one).is_some() && mark(one) == mark(next));
    paragraphs.map(|lines| wrapped(lines).unwrap_or_else(|| lines.concat())).collect()
}

/// What a line of prose in a comment begins with: indentation and `//`, `///` or `//!`. A row of a table is not
/// prose.
fn mark(line: &str) -> Option<&str> {
    let comment = line.trim_start();
    let prose = comment.trim_start_matches(['/', '!']);
    let is_prose = comment.starts_with("//") && prose.starts_with(' ') && !prose.starts_with(" |");
    is_prose.then(|| &line[..line.len() - prose.len()])
}

fn wrapped(lines: &[&str]) -> Option<String> {
    let mark = mark(lines[0])?;
    if lines.iter().all(|line| line.trim_end().chars().count() <= WIDTH) {
        return None;
    }
    let mut text = mark.to_owned();
    let mut width = mark.chars().count();
    for word in lines.iter().flat_map(|line| line[mark.len()..].split_whitespace()) {
        let added = 1 + word.chars().count();
        if width + added > WIDTH {
            text = text + "\n" + mark;
            width = mark.chars().count();
        }
        text = text + " " + word;
        width += added;
    }
    Some(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_with_too_long_a_line_is_broken_again() {
        let word = "x".repeat(50);
        let text =
            format!("    /// {word} {word} {word}\n    /// end.\n    ///\n    /// Other.\n    fn f() {{}}\n");
        let expected =
            format!("    /// {word} {word}\n    /// {word} end.\n    ///\n    /// Other.\n    fn f() {{}}\n");
        assert_eq!(wrap(&text), expected);
        assert_eq!(wrap(&expected), expected);
    }

    #[test]
    fn tables_code_and_short_comments_stay_as_they_are() {
        let long = "x ".repeat(70);
        for text in [
            format!("//! | {long}|\n//! |---|\n"),
            format!("let text = \"{long}\";\n"),
            "/// Two lines\n/// of one sentence.\n".to_owned(),
        ] {
            assert_eq!(wrap(&text), text);
        }
    }
}
