use switchyard_kernel::line_type;

line_type! {
    /// The title of a book: 1 to 200 characters on one line, at least one of them visible.
    BookTitle, 1..=200, example = "A short title"
}

#[cfg(test)]
mod tests {
    use switchyard_kernel::InvalidLine;

    use super::*;

    #[test]
    fn a_title_has_one_to_two_hundred_characters_of_any_script() {
        assert!("李".parse::<BookTitle>().is_ok());
        assert!("é".repeat(200).parse::<BookTitle>().is_ok());
        let length = Err(InvalidLine::Length { least: 1, most: 200 });
        assert_eq!("é".repeat(201).parse::<BookTitle>(), length);
        assert_eq!("".parse::<BookTitle>(), length);
    }

    #[test]
    fn a_title_is_visible_and_on_one_line() {
        assert_eq!(" \u{a0} ".parse::<BookTitle>(), Err(InvalidLine::Invisible));
        assert_eq!("Two\nlines".parse::<BookTitle>(), Err(InvalidLine::Controls));
    }
}
