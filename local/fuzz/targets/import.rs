//! The file formats of the account import. The input is `n` (NDJSON) or `c` (CSV), a byte with the size of the
//! pieces in which the file is read, and the file. With `N` and `C`, the bytes 01 to 03 in the file stand for long
//! runs of text.

#![no_main]

#[path = "../../src/load/records/mod.rs"]
mod records;

use std::io::{self, BufRead, Cursor, Read};

use libfuzzer_sys::{Corpus, fuzz_target};
use records::{Format, Record};
use switchyard_ambient::Timestamp;
use switchyard_identity::{EmailAddress, PasswordHash, PersonName, RoleName};

const MAX_RECORD_BYTES: usize = 64 * 1024;
/// The lengths of the runs. The first two with a comma between them have the maximum length of a record. So do the
/// first and the last with the names of two JSON members.
const RUNS: [usize; 3] = [65_000, 535, 514];
const MAX_FILE_BYTES: usize = 3 * MAX_RECORD_BYTES;
const COLUMNS: [&str; 5] = ["email", "name", "roles", "created_at", "password_hash"];

/// The result of reading a file: the line number of each record, and the record unless it has a fault. `None` if
/// the whole file is refused.
type Outcome = Option<Vec<(u64, Option<Record>)>>;

fuzz_target!(|input: &[u8]| -> Corpus {
    let [format, piece, file @ ..] = input else { return Corpus::Reject };
    let file = if format.is_ascii_uppercase() { expand(file) } else { Some(file.to_vec()) };
    let Some(file) = file else { return Corpus::Reject };
    let format = if format.eq_ignore_ascii_case(&b'c') { Format::Csv } else { Format::Ndjson };
    // Long files are read in larger pieces, because reading them byte by byte would take most of the time.
    let size = usize::from(*piece).max(1) * if file.len() > 4096 { 64 } else { 1 };
    let whole = read(format, Cursor::new(file.clone()));
    let in_pieces = read(format, Pieces { rest: Cursor::new(file.clone()), size });
    assert_eq!(whole, in_pieces);
    let model = match format {
        Format::Ndjson => Some(ndjson(without_mark(&file))),
        Format::Csv => csv(without_mark(&file)),
    };
    assert_eq!(whole, model);
    for (_, record) in whole.unwrap_or_default() {
        record.iter().for_each(values_round_trip);
    }
    Corpus::Keep
});

fn expand(input: &[u8]) -> Option<Vec<u8>> {
    let mut file = Vec::new();
    for byte in input {
        match byte {
            1..=3 => file.resize(file.len() + RUNS[usize::from(*byte) - 1], b'x'),
            _ => file.push(*byte),
        }
        if file.len() > MAX_FILE_BYTES {
            return None;
        }
    }
    Some(file)
}

fn read(format: Format, input: impl BufRead + 'static) -> Outcome {
    let lines = records::read(format, input).ok()?;
    Some(
        lines
            .map(|line| line.expect("memory can be read"))
            .map(|line| (line.number, line.record.ok()))
            .collect(),
    )
}

/// A file that arrives in pieces of one size, as from a pipe.
struct Pieces {
    rest: Cursor<Vec<u8>>,
    size: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.size.min(buffer.len());
        self.rest.read(&mut buffer[..size])
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let rest = self.rest.fill_buf()?;
        Ok(&rest[..self.size.min(rest.len())])
    }

    fn consume(&mut self, count: usize) {
        self.rest.consume(count);
    }
}

fn without_mark(file: &[u8]) -> &[u8] {
    file.strip_prefix("\u{feff}".as_bytes()).unwrap_or(file)
}

fn ndjson(file: &[u8]) -> Vec<(u64, Option<Record>)> {
    let lines = (1..).zip(file.split(|&byte| byte == b'\n'));
    let lines = lines.filter(|(_, line)| line.len() > MAX_RECORD_BYTES || !line.trim_ascii().is_empty());
    lines
        .map(|(number, line)| {
            let fits = line.len() <= MAX_RECORD_BYTES && std::str::from_utf8(line).is_ok();
            (number, serde_json::from_slice(line).ok().filter(|_| fits))
        })
        .collect()
}

fn csv(file: &[u8]) -> Outcome {
    let mut rows = rows(file).into_iter();
    let (_, header) = rows.next()?;
    let header: Vec<String> = header?
        .into_iter()
        .map(|name| String::from_utf8(name).ok().map(|name| name.trim().to_ascii_lowercase()))
        .collect::<Option<_>>()?;
    let is_known = |name: &String| COLUMNS.contains(&name.as_str());
    let is_double = |name: &String| header.iter().filter(|other| *other == name).count() > 1;
    let has = |name: &str| header.iter().any(|other| other == name);
    if !header.iter().all(is_known) || header.iter().any(is_double) || !has("email") || !has("name") {
        return None;
    }
    Some(rows.map(|(number, fields)| (number, fields.and_then(|fields| record(&header, fields)))).collect())
}

fn record(header: &[String], fields: Vec<Vec<u8>>) -> Option<Record> {
    let fields: Vec<String> = fields.into_iter().map(String::from_utf8).collect::<Result<_, _>>().ok()?;
    if fields.len() != header.len() {
        return None;
    }
    let field = |name: &str| {
        let place = header.iter().position(|column| column == name);
        place.map(|place| fields[place].clone()).filter(|text| !text.is_empty())
    };
    let roles = field("roles").unwrap_or_default();
    Some(Record {
        email: field("email").unwrap_or_default(),
        name: field("name").unwrap_or_default(),
        roles: roles.split('|').filter(|role| !role.is_empty()).map(str::to_owned).collect(),
        created_at: field("created_at"),
        password_hash: field("password_hash"),
    })
}

/// Parses CSV (RFC 4180) as leniently as common parsers. Returns the rows with the lines they begin on. A row that
/// is too long has no fields.
fn rows(file: &[u8]) -> Vec<(u64, Option<Vec<Vec<u8>>>)> {
    let is_line_end = |place: usize| matches!(file[place], b'\r' | b'\n');
    let line_ends = |begin: usize, end: usize| file[begin..end].iter().filter(|&&byte| byte == b'\n').count();
    let mut rows = Vec::new();
    let (mut at, mut line, mut counted) = (0, 1, 0);
    loop {
        while at < file.len() && is_line_end(at) {
            at += 1;
        }
        if at == file.len() {
            return rows;
        }
        let begin = at;
        line += line_ends(counted, begin) as u64;
        counted = begin;
        let mut fields = Vec::new();
        loop {
            let mut field = Vec::new();
            if file.get(at) == Some(&b'"') {
                at += 1;
                while at < file.len() && (file[at] != b'"' || file.get(at + 1) == Some(&b'"')) {
                    field.push(file[at]);
                    at += if file[at] == b'"' { 2 } else { 1 };
                }
                at = (at + 1).min(file.len());
            }
            while at < file.len() && file[at] != b',' && !is_line_end(at) {
                field.push(file[at]);
                at += 1;
            }
            fields.push(field);
            if file.get(at) != Some(&b',') {
                break;
            }
            at += 1;
        }
        rows.push((line, Some(fields).filter(|_| at - begin <= MAX_RECORD_BYTES)));
    }
}

fn values_round_trip(record: &Record) {
    if let Ok(email) = record.email.parse::<EmailAddress>() {
        assert_eq!(email.as_str().parse().as_ref(), Ok(&email));
        assert_eq!(email.key().parse::<EmailAddress>().map(|key| key.key()), Ok(email.key()));
    }
    if let Ok(name) = record.name.parse::<PersonName>() {
        assert_eq!(name.as_str().parse(), Ok(name));
    }
    for role in &record.roles {
        if let Ok(name) = role.parse::<RoleName>() {
            assert_eq!(name.as_str(), role);
        }
    }
    if let Some(time) = record.created_at.as_ref().and_then(|text| text.parse::<Timestamp>().ok()) {
        assert_eq!(time.to_string().parse().map(Timestamp::as_millis), Ok(time.as_millis()));
    }
    if let Some(text) = &record.password_hash
        && PasswordHash::import(text).is_ok()
    {
        let cost = text.get(4..6).and_then(|cost| cost.parse().ok());
        assert!(text.is_ascii() && text.len() == 60 && text.starts_with("$2") && &text[6..7] == "$");
        assert!(text[4..6].bytes().all(|byte| byte.is_ascii_digit()));
        assert!(cost.is_some_and(|cost: u32| (4..=14).contains(&cost)));
    }
}
