//! The template's text for another name.
//!
//! The template is the feature `books`, as code that compiles. Its name is replaced by the form that fits the
//! place: `books` is a variable in code, a path after `/`, and a word in a comment. For a name of one word, all
//! these forms are the same.

use super::name::Name;
use super::words::Words;
use super::wrap::wrap;

/// Returns `text`, a file of the template, with `name` instead of `book` and `books`.
pub(crate) fn render(text: &str, name: &Name) -> String {
    wrap(&text.split_inclusive('\n').map(|line| render_line(line, name)).collect::<String>())
}

fn render_line(line: &str, name: &Name) -> String {
    let mut rendered = String::new();
    let mut rest = 0;
    while let Some(found) = Occurrence::next(line, rest) {
        let words = if found.is_plural { &name.plural } else { &name.singular };
        rendered.push_str(&line[rest..found.start]);
        if words.takes_an() && ends_with_article(&rendered) {
            rendered.insert(rendered.len() - 1, 'n');
        }
        rendered.push_str(&found.written_as(words));
        rest = found.end;
    }
    rendered + &line[rest..]
}

/// Whether the text ends with the word `a` and one more character: `a `, or `a_` in an identifier.
fn ends_with_article(text: &str) -> bool {
    let mut backwards = text.chars().rev();
    matches!(backwards.next(), Some(' ' | '_'))
        && matches!(backwards.next(), Some('a' | 'A'))
        && !backwards.next().is_some_and(char::is_alphanumeric)
}

/// Where the template names its feature.
struct Occurrence<'a> {
    line: &'a str,
    start: usize,
    end: usize,
    is_plural: bool,
}

impl<'a> Occurrence<'a> {
    /// The first occurrence at `from` or later.
    fn next(line: &'a str, from: usize) -> Option<Self> {
        let starts = ["book", "Book", "BOOK"].iter().filter_map(|word| line[from..].find(word));
        let start = from + starts.min()?;
        let end = start + "book".len();
        let is_plural = line[end..].starts_with(['s', 'S']);
        Some(Self { line, start, end: end + usize::from(is_plural), is_plural })
    }

    fn text(&self) -> &'a str {
        &self.line[self.start..self.end]
    }

    fn before(&self) -> &'a str {
        &self.line[..self.start]
    }

    fn after(&self) -> &'a str {
        &self.line[self.end..]
    }

    /// The words in the form that fits here.
    fn written_as(&self, words: &Words) -> String {
        let is_upper = self.text().starts_with("BO");
        let is_capitalized = self.text().starts_with('B');
        match self.place() {
            Place::Code if is_upper => words.screaming(),
            Place::Code if is_capitalized => words.pascal(),
            Place::Code => words.snake(),
            Place::Path => words.kebab(),
            Place::Prose if is_capitalized => words.sentence(),
            Place::Prose => words.prose(),
        }
    }

    fn place(&self) -> Place {
        let is_part_of_identifier = |c: char| c.is_alphanumeric() || c == '_';
        let (before, after) = (self.before(), self.after());
        let is_followed_by_word =
            |mark| after.strip_prefix(mark).is_some_and(|rest| rest.starts_with(char::is_alphabetic));
        let is_module = after.starts_with(".rs");
        if is_module || before.ends_with(is_part_of_identifier) || after.starts_with(is_part_of_identifier) {
            return Place::Code;
        }
        let is_permission = is_followed_by_word(':');
        if is_permission || before.ends_with(['/', '-']) || after.starts_with(['/', '-']) {
            return Place::Path;
        }
        let is_action = is_followed_by_word('.');
        if is_action {
            return Place::Code;
        }
        match self.literal() {
            Some(literal) if literal == self.text() => self.place_of_literal(),
            Some(literal) if literal.contains(' ') => Place::Prose,
            None if self.line.trim_start().starts_with("//") => {
                let is_quoted = before.ends_with(['`', '[', ':']) || after.starts_with("::");
                if is_quoted { Place::Code } else { Place::Prose }
            }
            _ => Place::Code,
        }
    }

    /// The place of a string that is the name alone. Collections are named like variables, everything else like
    /// paths.
    fn place_of_literal(&self) -> Place {
        let names_collections = ["Collection::new(", "\", &["];
        if self.text().starts_with('B') {
            Place::Prose
        } else if names_collections.iter().any(|call| self.line.contains(call)) {
            Place::Code
        } else {
            Place::Path
        }
    }

    /// The content of the string around the occurrence, if there is one and the line is no comment.
    fn literal(&self) -> Option<&'a str> {
        let is_inside = self.before().matches('"').count() % 2 == 1;
        if !is_inside || self.line.trim_start().starts_with("//") {
            return None;
        }
        let start = self.before().rfind('"')? + 1;
        let end = self.end + self.after().find('"')?;
        Some(&self.line[start..end])
    }
}

/// What stands where the name occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// An identifier, or a name that is written like one.
    Code,
    /// A path, a package or a permission.
    Path,
    /// Words for people.
    Prose,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_rendered(text: &str, expected: &str) {
        let name = Name::parse("invoice-items", None).unwrap();
        assert_eq!(render(text, &name), expected);
    }

    #[test]
    fn identifiers_keep_their_case() {
        assert_rendered(
            "let books = Books::new(book);",
            "let invoice_items = InvoiceItems::new(invoice_item);",
        );
        assert_rendered("BOOK_LIMIT_REACHED, BookId", "INVOICE_ITEM_LIMIT_REACHED, InvoiceItemId");
        assert_rendered("use switchyard_books::{", "use switchyard_invoice_items::{");
        assert_rendered("tx.get::<BookRecord>(id)", "tx.get::<InvoiceItemRecord>(id)");
        assert_rendered("async fn a_book_is_read() {", "async fn an_invoice_item_is_read() {");
    }

    #[test]
    fn paths_packages_and_permissions_have_hyphens() {
        assert_rendered(r#"name = "switchyard-fn-books""#, r#"name = "switchyard-fn-invoice-items""#);
        assert_rendered(
            r#"path = "/books/{id}", tag = "books""#,
            r#"path = "/invoice-items/{id}", tag = "invoice-items""#,
        );
        assert_rendered("switchyard-books.workspace = true", "switchyard-invoice-items.workspace = true");
        assert_rendered(r#"format!("books/{id}")"#, r#"format!("invoice-items/{id}")"#);
        assert_rendered(
            r#"Permission::new("books:read", "See books.")"#,
            r#"Permission::new("invoice-items:read", "See invoice items.")"#,
        );
        assert_rendered("/// Requires `books:write`.", "/// Requires `invoice-items:write`.");
        assert_rendered("functions/books/src/books.rs", "functions/invoice-items/src/invoice_items.rs");
    }

    #[test]
    fn collections_and_actions_are_written_like_identifiers() {
        assert_rendered(r#"&Collection::new("books")"#, r#"&Collection::new("invoice_items")"#);
        assert_rendered(
            r#"("books", &[Read]), ("book_counts", &[Insert]),"#,
            r#"("invoice_items", &[Read]), ("invoice_item_counts", &[Insert]),"#,
        );
        assert_rendered(r#"Action::new("book.created")"#, r#"Action::new("invoice_item.created")"#);
        assert_rendered(r#"["book.created Success"]"#, r#"["invoice_item.created Success"]"#);
        assert_rendered("//! | `books` | book; |", "//! | `invoice_items` | invoice item; |");
    }

    #[test]
    fn comments_and_messages_are_prose_with_the_right_article() {
        assert_rendered(
            "/// Creates a book. A book's id.",
            "/// Creates an invoice item. An invoice item's id.",
        );
        assert_rendered(
            "//! Books of users, see [`Books`].",
            "//! Invoice items of users, see [`InvoiceItems`].",
        );
        assert_rendered(r#"description = "The book's id.""#, r#"description = "The invoice item's id.""#);
        assert_rendered(
            r#"Function::new("books", "Books")"#,
            r#"Function::new("invoice-items", "Invoice items")"#,
        );
        assert_rendered("/// The data book.", "/// The data invoice item.");
    }

    #[test]
    fn the_name_of_the_template_gives_the_template() {
        let books = Name::parse("books", None).unwrap();
        for (_, text) in super::super::template::FILES {
            assert_eq!(render(text, &books), *text);
        }
    }
}
