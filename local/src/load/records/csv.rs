//! CSV: comma-separated values (RFC 4180) with a header line that names the columns.
//!
//! This uses `csv_core`, the parser of the crate `csv`. The reader of `csv` itself has no limit for the length of a record,
//! so a file with an open quote would be read into memory as a whole.

use std::io::{self, BufRead};

use csv_core::ReadFieldResult;

use super::{Line, MAX_RECORD_BYTES, Record, too_long};

const COLUMNS: [&str; 5] = ["email", "name", "roles", "created_at", "password_hash"];

/// The records of a file, without its header.
pub(super) struct CsvLines<R> {
    header: Vec<String>,
    rows: Rows<R>,
}

impl<R: BufRead> CsvLines<R> {
    /// Reads the header.
    pub(super) fn new(input: R) -> anyhow::Result<Self> {
        let mut rows = Rows::new(input);
        let header = match rows.next_row()? {
            Some(row) => {
                let fields = row.fields.ok_or_else(|| anyhow::anyhow!("the header {}", too_long()))?;
                read_header(&fields)?
            }
            None => Vec::new(),
        };
        for needed in ["email", "name"] {
            let is_there = header.iter().any(|name| name == needed);
            anyhow::ensure!(is_there, "the header must contain the column `{needed}`");
        }
        Ok(Self { header, rows })
    }
}

impl<R: BufRead> Iterator for CsvLines<R> {
    type Item = anyhow::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rows.next_row() {
            Ok(row) => row.map(|row| {
                let record = match row.fields {
                    Some(fields) => read_record(&self.header, fields),
                    // After an unclosed quote the rest of the file is one field.
                    None => Err(format!("{}: is a quote not closed?", too_long())),
                };
                Ok(Line { number: row.number, record })
            }),
            Err(fault) => Some(Err(fault.into())),
        }
    }
}

fn read_header(fields: &[Vec<u8>]) -> anyhow::Result<Vec<String>> {
    let mut header = Vec::new();
    for field in fields {
        let name = std::str::from_utf8(field).map_err(|_| anyhow::anyhow!("the header is not UTF-8"))?;
        let name = name.trim().to_ascii_lowercase();
        anyhow::ensure!(
            COLUMNS.contains(&name.as_str()),
            "the header contains the unknown column `{name}`; the known columns are {}",
            COLUMNS.join(", ")
        );
        anyhow::ensure!(!header.contains(&name), "the header contains the column `{name}` twice");
        header.push(name);
    }
    Ok(header)
}

fn read_record(header: &[String], fields: Vec<Vec<u8>>) -> Result<Record, String> {
    if fields.len() != header.len() {
        return Err(format!("has {} columns, the header has {}", fields.len(), header.len()));
    }
    let mut record = Record {
        email: String::new(),
        name: String::new(),
        roles: Vec::new(),
        created_at: None,
        password_hash: None,
    };
    for (column, value) in header.iter().zip(fields) {
        let value = String::from_utf8(value).map_err(|_| format!("is not UTF-8 in the column `{column}`"))?;
        match column.as_str() {
            "email" => record.email = value,
            "name" => record.name = value,
            "roles" => {
                record.roles = value.split('|').filter(|role| !role.is_empty()).map(str::to_owned).collect();
            }
            "created_at" => record.created_at = Some(value).filter(|value| !value.is_empty()),
            _ => record.password_hash = Some(value).filter(|value| !value.is_empty()),
        }
    }
    Ok(record)
}

/// Splits a file into rows and fields, and keeps at most the maximum length of a record in memory. The reader of
/// the crate `csv` would keep the whole row, which after an unclosed quote is the rest of the file.
struct Rows<R> {
    input: R,
    core: csv_core::Reader,
    /// The line number of the next byte.
    line: u64,
}

/// A row of a file.
struct Row {
    /// The line on which it begins.
    number: u64,
    /// Its fields; `None` if it is too long.
    fields: Option<Vec<Vec<u8>>>,
}

impl<R: BufRead> Rows<R> {
    fn new(input: R) -> Self {
        let mut core = csv_core::Reader::new();
        // The reader looks for a byte order mark in its first input. A blank line prevents that.
        core.read_field(b"\n", &mut []);
        Self { input, core, line: 1 }
    }

    fn next_row(&mut self) -> io::Result<Option<Row>> {
        self.skip_line_ends()?;
        let number = self.line;
        let (mut bytes, mut fields, mut field) = (0, Vec::new(), Vec::new());
        let mut piece = [0; 1024];
        loop {
            let (result, read, written) = self.core.read_field(self.input.fill_buf()?, &mut piece);
            self.consume(read)?;
            bytes += read as u64;
            let is_line_end = matches!(result, ReadFieldResult::Field { record_end: true }) && read > 0;
            let fits = bytes - u64::from(is_line_end) <= MAX_RECORD_BYTES;
            if fits {
                field.extend_from_slice(&piece[..written]);
            } else {
                (fields, field) = (Vec::new(), Vec::new());
            }
            match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::Field { record_end } => {
                    fields.push(std::mem::take(&mut field));
                    if record_end {
                        return Ok(Some(Row { number, fields: fits.then_some(fields) }));
                    }
                }
                ReadFieldResult::End => return Ok(None),
            }
        }
    }

    /// Skips the rest of the last line end, and blank lines.
    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            let available = self.input.fill_buf()?;
            let ends = available.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if ends == 0 {
                return Ok(());
            }
            self.consume(ends)?;
        }
    }

    /// Consumes `count` bytes of the input's buffer and counts their line breaks.
    fn consume(&mut self, count: usize) -> io::Result<()> {
        let breaks = self.input.fill_buf()?[..count].iter().filter(|&&byte| byte == b'\n').count();
        self.line += breaks as u64;
        self.input.consume(count);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read as _};

    use super::super::tests::{account, lines};
    use super::super::{Format, Line, Record, read};

    fn header_fault(input: &'static [u8]) -> String {
        read(Format::Csv, input).err().unwrap().to_string()
    }

    #[test]
    fn it_reads_quotes_and_line_breaks_and_reports_the_line_a_record_begins_on() {
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
    fn the_header_names_known_columns_once() {
        assert_eq!(
            header_fault(b"email,naem\n"),
            "the header contains the unknown column `naem`; the known columns are email, name, roles, created_at, \
             password_hash"
        );
        assert_eq!(header_fault(b"email\n"), "the header must contain the column `name`");
        assert_eq!(header_fault(b""), "the header must contain the column `email`");
        assert_eq!(header_fault(b"name,email,Name\n"), "the header contains the column `name` twice");
        assert_eq!(header_fault(b"email,\xff\n"), "the header is not UTF-8");
    }

    #[test]
    fn a_row_of_empty_fields_is_not_a_blank_line() {
        let empty = Line { number: 2, record: Ok(account("", "")) };
        assert_eq!(lines(Format::Csv, b"email,name\r\n,\r\n\r\n"), [empty]);
    }

    #[test]
    fn a_record_that_is_too_long_is_reported_and_skipped() {
        let long = "x".repeat(70_000);
        let input = format!("email,name\na@b.c,{long}\nd@e.f,\"{long}\n\"\ng@h.i,G\n");
        let fault = || Err("is longer than 65536 bytes: is a quote not closed?".to_owned());
        let read = lines(Format::Csv, input.as_bytes());
        assert_eq!(read[0], Line { number: 2, record: fault() });
        assert_eq!(read[1], Line { number: 3, record: fault() });
        assert_eq!(read[2], Line { number: 5, record: Ok(account("g@h.i", "G")) });
        assert_eq!(read.len(), 3);
        let long = vec![b','; 70_000].leak();
        assert_eq!(header_fault(long), "the header is longer than 65536 bytes");
    }

    #[test]
    fn a_record_of_exactly_the_maximum_length_is_read() {
        let name = "x".repeat(65_536 - "a@b.c,".len());
        let input = format!("email,name\na@b.c,{name}");
        let read = [Line { number: 2, record: Ok(account("a@b.c", &name)) }];
        assert_eq!(lines(Format::Csv, input.as_bytes()), read);
        assert_eq!(lines(Format::Csv, format!("{input}\r\n").as_bytes()), read);
        assert!(lines(Format::Csv, format!("{input}x").as_bytes())[0].record.is_err());
    }

    #[test]
    fn an_unclosed_quote_is_reported_with_the_line_of_its_record() {
        let begun = &b"email,name\na@b.c,A\nd@e.f,\"D\n"[..];
        let input = BufReader::new(begun.chain(std::io::repeat(b'\n').take(1 << 20)));
        let mut lines = read(Format::Csv, input).unwrap().map(Result::unwrap);
        assert_eq!(lines.next(), Some(Line { number: 2, record: Ok(account("a@b.c", "A")) }));
        let fault = "is longer than 65536 bytes: is a quote not closed?".to_owned();
        assert_eq!(lines.next(), Some(Line { number: 3, record: Err(fault) }));
        assert_eq!(lines.next(), None);
    }
}
