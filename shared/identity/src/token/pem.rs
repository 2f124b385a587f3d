//! The part of PEM (RFC 7468) that keys need.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A block of a PEM text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) label: String,
    pub(super) der: Vec<u8>,
}

/// Returns the blocks of a PEM text, in order; `None` if it is malformed.
///
/// Some environment variables cannot contain line breaks, so the two characters `\n` also count as one.
pub(super) fn parse(text: &str) -> Option<Vec<Block>> {
    let text = text.replace("\\n", "\n");
    let mut blocks = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let (label, begun) = begun.split_once("-----")?;
        let (body, after) = begun.split_once(&format!("-----END {label}-----"))?;
        let digits: String = body.split_ascii_whitespace().collect();
        blocks.push(Block { label: label.to_owned(), der: STANDARD.decode(digits).ok()? });
        rest = after;
    }
    Some(blocks)
}

/// Formats one block as PEM.
#[cfg(any(test, feature = "local-secrets"))]
pub(super) fn write(label: &str, der: &[u8]) -> String {
    let digits = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_written_and_read_again() {
        let der: Vec<u8> = (0..=200).collect();
        let text = write("PRIVATE KEY", &der) + &write("PUBLIC KEY", &der[..3]);
        let blocks = parse(&text).unwrap();
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0], Block { label: "PRIVATE KEY".to_owned(), der });
        assert_eq!(blocks[1], Block { label: "PUBLIC KEY".to_owned(), der: vec![0, 1, 2] });
        assert_eq!(parse(&text.replace('\n', "\\n")).unwrap(), blocks);
    }

    #[test]
    fn a_malformed_text_has_no_blocks() {
        assert_eq!(parse("-----BEGIN X-----\nAAA\n"), None);
        assert_eq!(parse("-----BEGIN X-----\n!\n-----END X-----\n"), None);
        assert_eq!(parse("no key at all"), Some(Vec::new()));
    }
}
