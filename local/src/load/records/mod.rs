//! Reads accounts from NDJSON or CSV, one record at a time, and reports the line of each record that cannot be read.

mod csv;
mod ndjson;

use std::io::{self, BufRead, Read as _};

use serde::Deserialize;

use self::csv::CsvLines;
use self::ndjson::NdjsonLines;

/// The maximum number of bytes in one line or one CSV record. A longer one is not an account, and must not fill the
/// memory.
const MAX_RECORD_BYTES: u64 = 64 * 1024;

/// An account as in the file, not yet validated.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// The e-mail address.
    pub(crate) email: String,
    /// The person's name.
    pub(crate) name: String,
    /// The names of the roles; in CSV separated by `|`.
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    /// When the account was created, in RFC 3339 format.
    #[serde(default)]
    pub(crate) created_at: Option<String>,
    /// A bcrypt hash of the password (`$2b$…`), so that users keep their passwords.
    #[serde(default)]
    pub(crate) password_hash: Option<String>,
}

/// The format of a file of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// One JSON object per line.
    Ndjson,
    /// Comma-separated values (RFC 4180) with a header line that names the columns.
    Csv,
}

/// A record or the reason why it cannot be read, with its line number (from 1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The line on which the record begins.
    pub(crate) number: u64,
    /// The record, or its fault.
    pub(crate) record: Result<Record, String>,
}

/// Returns the records of `input`.
///
/// # Errors
///
/// If the beginning of the file cannot be read, or a CSV header lacks a required column, has an unknown or duplicate
/// column, is too long or is not UTF-8.
pub(crate) fn read(
    format: Format,
    input: impl BufRead + 'static,
) -> anyhow::Result<Box<dyn Iterator<Item = anyhow::Result<Line>>>> {
    let input = without_byte_order_mark(input)?;
    match format {
        Format::Ndjson => Ok(Box::new(NdjsonLines::new(input))),
        Format::Csv => Ok(Box::new(CsvLines::new(input)?)),
    }
}

/// Removes a byte order mark. The first bytes may arrive one at a time, as from a pipe, so they are read and then
/// chained in front of the rest.
fn without_byte_order_mark(mut input: impl BufRead) -> io::Result<impl BufRead> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    let mut beginning = Vec::new();
    (&mut input).take(MARK.len() as u64).read_to_end(&mut beginning)?;
    if beginning == MARK {
        beginning.clear();
    }
    Ok(io::Cursor::new(beginning).chain(input))
}

fn too_long() -> String {
    format!("is longer than {MAX_RECORD_BYTES} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn lines(format: Format, input: &[u8]) -> Vec<Line> {
        let input = io::Cursor::new(input.to_vec());
        read(format, input).unwrap().map(Result::unwrap).collect()
    }

    pub(super) fn account(email: &str, name: &str) -> Record {
        Record {
            email: email.into(),
            name: name.into(),
            roles: vec![],
            created_at: None,
            password_hash: None,
        }
    }

    #[test]
    fn a_byte_order_mark_is_skipped_even_if_it_arrives_in_pieces() {
        let ndjson = "\u{feff}{\"email\":\"a@b.c\",\"name\":\"A\"}\n";
        let csv = "\u{feff}email,name\na@b.c,A\n";
        for (format, text, number) in [(Format::Ndjson, ndjson, 1), (Format::Csv, csv, 2)] {
            for capacity in [1, 2, 3, 4096] {
                let input = io::BufReader::with_capacity(capacity, text.as_bytes());
                let lines: Vec<Line> = read(format, input).unwrap().map(Result::unwrap).collect();
                assert_eq!(lines, [Line { number, record: Ok(account("a@b.c", "A")) }]);
            }
        }
    }
}
