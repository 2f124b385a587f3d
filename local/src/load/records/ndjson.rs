//! NDJSON: one JSON object per line.

use std::io::{BufRead, Read as _};

use super::{Line, MAX_RECORD_BYTES, Record, too_long};

/// The non-blank lines of a file.
pub(super) struct NdjsonLines<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> NdjsonLines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, number: 0 }
    }
}

impl<R: BufRead> Iterator for NdjsonLines<R> {
    type Item = anyhow::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.number += 1;
            let mut line = Vec::new();
            match (&mut self.input).take(MAX_RECORD_BYTES + 1).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(fault) => return Some(Err(fault.into())),
            }
            if line.len() as u64 > MAX_RECORD_BYTES && !line.ends_with(b"\n") {
                if let Err(fault) = self.input.skip_until(b'\n') {
                    return Some(Err(fault.into()));
                }
                return Some(Ok(Line { number: self.number, record: Err(too_long()) }));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            return Some(Ok(Line { number: self.number, record: parse(&line) }));
        }
    }
}

fn parse(line: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(line).map_err(|_| "is not UTF-8".to_owned())?;
    // serde would take the items of an array for the fields in their order.
    if !text.trim_ascii_start().starts_with('{') {
        return Err("is not an account: a JSON object is expected".to_owned());
    }
    serde_json::from_str(text).map_err(|fault| {
        // Removes the position, which is always in line 1.
        let message = fault.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        format!("is not an account: {message}")
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{account, lines};
    use super::super::{Format, Line};

    #[test]
    fn it_reports_a_bad_line_and_continues() {
        let input = "\u{feff}{\"email\":\"a@b.c\",\"name\":\"Añ 山田\"}\r\n\n{\"email\":1}\n{\"email\":\"x@y.z\",\"name\":\"X\",\"age\":3}\n{\"email\":\"d@e.f\",\"name\":\"D\"}";
        let lines = lines(Format::Ndjson, input.as_bytes());
        assert_eq!(lines[0], Line { number: 1, record: Ok(account("a@b.c", "Añ 山田")) });
        assert_eq!(lines[1].number, 3);
        assert_eq!(
            lines[1].record,
            Err("is not an account: invalid type: integer `1`, expected a string".into())
        );
        assert_eq!(lines[2].number, 4);
        assert!(lines[2].record.as_ref().unwrap_err().contains("unknown field `age`"));
        assert_eq!(lines[3], Line { number: 5, record: Ok(account("d@e.f", "D")) });
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn a_line_that_is_no_object_is_reported() {
        for line in [r#"["a@b.c","A"]"#, "null", "1", r#""a@b.c""#] {
            let record = Err("is not an account: a JSON object is expected".into());
            assert_eq!(lines(Format::Ndjson, line.as_bytes()), [Line { number: 1, record }], "{line}");
        }
    }

    #[test]
    fn a_line_that_is_not_utf8_or_too_long_is_reported_and_skipped() {
        let mut input = b"\xff\xfe\n".to_vec();
        input.extend(vec![b'x'; 200_000]);
        input.extend(b"\n{\"email\":\"a@b.c\",\"name\":\"A\"}\n");
        let lines = lines(Format::Ndjson, &input);
        assert_eq!(lines[0], Line { number: 1, record: Err("is not UTF-8".into()) });
        assert_eq!(lines[1], Line { number: 2, record: Err("is longer than 65536 bytes".into()) });
        assert_eq!(lines[2], Line { number: 3, record: Ok(account("a@b.c", "A")) });
    }

    #[test]
    fn a_line_of_exactly_the_maximum_length_is_read() {
        let mut line = br#"{"email":"a@b.c","name":"A"}"#.to_vec();
        line.resize(65_536, b' ');
        let read = [Line { number: 1, record: Ok(account("a@b.c", "A")) }];
        assert_eq!(lines(Format::Ndjson, &line), read);
        assert_eq!(lines(Format::Ndjson, &[&line[..], b"\n"].concat()), read);
        assert!(lines(Format::Ndjson, &[&line[..], b" "].concat())[0].record.is_err());
    }
}
