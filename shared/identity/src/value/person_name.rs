use switchyard_kernel::line_type;

line_type! {
    /// A person's name: 1 to 100 characters on one line, at least one of them visible.
    PersonName, 1..=100, example = "Ada Lovelace"
}

#[cfg(test)]
mod tests {
    use switchyard_kernel::InvalidLine;

    use super::*;

    #[test]
    fn a_name_has_one_to_a_hundred_characters_of_any_script() {
        assert!("李".parse::<PersonName>().is_ok());
        assert!("é".repeat(100).parse::<PersonName>().is_ok());
        let length = Err(InvalidLine::Length { least: 1, most: 100 });
        assert_eq!("é".repeat(101).parse::<PersonName>(), length);
        assert_eq!("".parse::<PersonName>(), length);
    }

    #[test]
    fn a_name_is_visible_and_does_not_turn_what_stands_around_it() {
        for text in [" \u{a0} ", "\u{200b}", "\u{3164}"] {
            assert_eq!(text.parse::<PersonName>(), Err(InvalidLine::Invisible), "{text:?}");
        }
        for text in ["Ada\nBcc: x", "Ada\0", "Ada\u{202e}nimda", "\u{2066}Ada"] {
            assert_eq!(text.parse::<PersonName>(), Err(InvalidLine::Controls), "{text:?}");
        }
    }
}
