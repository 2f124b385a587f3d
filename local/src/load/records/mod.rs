//! Reads accounts from NDJSON or CSV, one record at a time, and names the line of each one that cannot be read.

use std::io::{BufRead, Read};
use std::iter;

use serde::Deserialize;

/// Bytes in one line or one CSV record, at the most: more is no account but a wrong file, and must not fill the memory.
const MAX_RECORD_BYTES: u64 = 64 * 1024;

/// An account as the file has it, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// The e-mail address.
    pub(crate) email: String,
    /// The person's name.
    pub(crate) name: String,
    /// Role names; in CSV separated by `|`.
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    /// When the account was made, as RFC 3339.
    #[serde(default)]
    pub(crate) created_at: Option<String>,
    /// A bcrypt hash of the password (`$2b$…`), so that people keep theirs.
    #[serde(default)]
    pub(crate) password_hash: Option<String>,
}

/// How a file of accounts is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values (RFC 4180) with a header line that names the columns.
    Csv,
}

/// A record, or why it cannot be read, with its line in the file (from 1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The line on which the record begins.
    pub(crate) number: u64,
    /// The record, or what is wrong with it.
    pub(crate) record: Result<Record, String>,
}

/// The records of `input`.
///
/// # Errors
///
/// Where the file as a whole cannot be read: a CSV header that is missing or names unknown columns.
pub(crate) fn read(
    format: Format,
    input: impl BufRead + 'static,
) -> anyhow::Result<Box<dyn Iterator<Item = anyhow::Result<Line>>>> {
    let input = without_byte_order_mark(input)?;
    match format {
        Format::Ndjson => Ok(Box::new(NdjsonLines { input, number: 0 })),
        Format::Csv => csv_lines(input),
    }
}

fn without_byte_order_mark(mut input: impl BufRead + 'static) -> std::io::Result<Box<dyn BufRead>> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if input.fill_buf()?.starts_with(MARK) {
        input.consume(MARK.len());
    }
    Ok(Box::new(input))
}

struct NdjsonLines {
    input: Box<dyn BufRead>,
    number: u64,
}

impl Iterator for NdjsonLines {
    type Item = anyhow::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.number += 1;
            let mut line = Vec::new();
            match (&mut self.input).take(MAX_RECORD_BYTES).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(fault) => return Some(Err(fault.into())),
            }
            if line.len() as u64 == MAX_RECORD_BYTES && !line.ends_with(b"\n") {
                if let Err(fault) = self.input.skip_until(b'\n') {
                    return Some(Err(fault.into()));
                }
                let record = Err(format!("is longer than {MAX_RECORD_BYTES} bytes"));
                return Some(Ok(Line { number: self.number, record }));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            return Some(Ok(Line { number: self.number, record: parse_json(&line) }));
        }
    }
}

fn parse_json(line: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(line).map_err(|_| "is not UTF-8".to_owned())?;
    serde_json::from_str(text).map_err(|fault| {
        // The position within the line says nothing new: line 1 of 1.
        let message = fault.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        format!("is not an account: {message}")
    })
}

const COLUMNS: [&str; 5] = ["email", "name", "roles", "created_at", "password_hash"];

fn csv_lines(input: Box<dyn BufRead>) -> anyhow::Result<Box<dyn Iterator<Item = anyhow::Result<Line>>>> {
    // A record's place is told from where its line ends, as the crate counts blank lines before it, and the `\n` of a
    // `\r\n`, to the record. Hence also the last line must end.
    let terminator = csv::Terminator::Any(b'\n');
    let input = input.chain(&b"\n"[..]);
    let mut reader = csv::ReaderBuilder::new().flexible(true).terminator(terminator).from_reader(input);
    let header: Vec<String> = reader.headers()?.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    if let Some(unknown) = header.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
        anyhow::bail!("the header names a column `{unknown}`; possible are {}", COLUMNS.join(", "));
    }
    for needed in ["email", "name"] {
        anyhow::ensure!(header.iter().any(|name| name == needed), "the header must name a column `{needed}`");
    }
    let mut record = csv::ByteRecord::new();
    Ok(Box::new(iter::from_fn(move || {
        loop {
            match reader.read_byte_record(&mut record) {
                Ok(true) if record.as_slice() == b"\r" => {} // a blank line
                Ok(true) => {
                    let breaks = record.as_slice().iter().filter(|&&byte| byte == b'\n').count() as u64;
                    let number = reader.position().line() - 1 - breaks;
                    return Some(Ok(Line { number, record: parse_csv(&header, &record) }));
                }
                Ok(false) => return None,
                Err(fault) => return Some(Err(fault.into())),
            }
        }
    })))
}

fn parse_csv(header: &[String], record: &csv::ByteRecord) -> Result<Record, String> {
    if record.len() != header.len() {
        return Err(format!("has {} columns, the header has {}", record.len(), header.len()));
    }
    if record.as_slice().len() as u64 > MAX_RECORD_BYTES {
        return Err(format!("is longer than {MAX_RECORD_BYTES} bytes"));
    }
    let mut parsed = Record {
        email: String::new(),
        name: String::new(),
        roles: Vec::new(),
        created_at: None,
        password_hash: None,
    };
    for (place, (column, value)) in header.iter().zip(record).enumerate() {
        let ends_line = place + 1 == header.len();
        let value = if ends_line { value.strip_suffix(b"\r").unwrap_or(value) } else { value };
        let value =
            std::str::from_utf8(value).map_err(|_| format!("is not UTF-8 in the column `{column}`"))?;
        let optional = (!value.is_empty()).then(|| value.to_owned());
        match column.as_str() {
            "email" => parsed.email = value.to_owned(),
            "name" => parsed.name = value.to_owned(),
            "roles" => {
                parsed.roles = value.split('|').filter(|role| !role.is_empty()).map(str::to_owned).collect();
            }
            "created_at" => parsed.created_at = optional,
            _ => parsed.password_hash = optional,
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(format: Format, input: &'static [u8]) -> Vec<Line> {
        read(format, input).unwrap().map(Result::unwrap).collect()
    }

    fn account(email: &str, name: &str) -> Record {
        Record {
            email: email.into(),
            name: name.into(),
            roles: vec![],
            created_at: None,
            password_hash: None,
        }
    }

    #[test]
    fn ndjson_goes_on_behind_a_bad_line_and_names_it() {
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
    fn a_line_that_is_no_utf8_or_too_long_is_named_and_passed_over() {
        let mut input = b"\xff\xfe\n".to_vec();
        input.extend(vec![b'x'; 200_000]);
        input.extend(b"\n{\"email\":\"a@b.c\",\"name\":\"A\"}\n");
        let lines = lines(Format::Ndjson, input.leak());
        assert_eq!(lines[0], Line { number: 1, record: Err("is not UTF-8".into()) });
        assert_eq!(lines[1], Line { number: 2, record: Err("is longer than 65536 bytes".into()) });
        assert_eq!(lines[2], Line { number: 3, record: Ok(account("a@b.c", "A")) });
    }

    #[test]
    fn csv_reads_quotes_and_line_breaks_and_names_the_line_a_record_begins_on() {
        let input = b"email,name,roles\r\na@b.c,\"Two\nlines, one \"\"name\"\"\",doctor|patient\r\nshort\r\nd@e.f,D,\r\n\r\n\
            g@h.i,G,\"doctor\"\r\n\nj@k.l,J,doctor\n";
        let lines = lines(Format::Csv, input);
        let roles = vec!["doctor".to_owned(), "patient".to_owned()];
        let first = Record { roles, ..account("a@b.c", "Two\nlines, one \"name\"") };
        assert_eq!(lines[0], Line { number: 2, record: Ok(first) });
        assert_eq!(lines[1], Line { number: 4, record: Err("has 1 columns, the header has 3".into()) });
        assert_eq!(lines[2], Line { number: 5, record: Ok(account("d@e.f", "D")) });
        let doctor = |email, name| Ok(Record { roles: vec!["doctor".to_owned()], ..account(email, name) });
        assert_eq!(lines[3], Line { number: 7, record: doctor("g@h.i", "G") });
        assert_eq!(lines[4], Line { number: 9, record: doctor("j@k.l", "J") });
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn a_csv_header_must_name_known_columns() {
        let fault = read(Format::Csv, &b"email,naem\n"[..]).err().unwrap().to_string();
        assert_eq!(
            fault,
            "the header names a column `naem`; possible are email, name, roles, created_at, password_hash"
        );
        let fault = read(Format::Csv, &b"email\n"[..]).err().unwrap().to_string();
        assert_eq!(fault, "the header must name a column `name`");
    }
}
