//! Cursors: a position, bound to the query that it belongs to.
//!
//! A cursor is base64url of the position and sixteen bytes of SHA-256 over the query and the position. It needs no
//! state and survives the deletion of the document it stands on. The digest keeps altered and borrowed cursors out; it
//! is no signature: whoever makes one up reads a page of their own query from another place in it, and nothing outside.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::{Error, Result};

const DIGEST_BYTES: usize = 16;
/// A cursor holds at most a sort key, well under this.
const MAX_CURSOR_BYTES: usize = 4096;

/// What a cursor is bound to.
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a query, described in full by `parts`.
    pub(crate) fn new<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The cursor that stands on `position`.
    pub(crate) fn seal(&self, position: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([position, &self.digest(position)].concat())
    }

    /// The position that `cursor` stands on.
    pub(crate) fn open(&self, cursor: &str) -> Result<Vec<u8>> {
        if cursor.len() > MAX_CURSOR_BYTES {
            return Err(Error::BadCursor);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::BadCursor)?;
        let end = bytes.len().checked_sub(DIGEST_BYTES).ok_or(Error::BadCursor)?;
        let digest = bytes.split_off(end);
        if digest == self.digest(&bytes) { Ok(bytes) } else { Err(Error::BadCursor) }
    }

    fn digest(&self, position: &[u8]) -> [u8; DIGEST_BYTES] {
        let hash =
            Sha256::new().chain_update(b"switchyard cursor 1").chain_update(self.0).chain_update(position);
        let mut digest = [0; DIGEST_BYTES];
        digest.copy_from_slice(&hash.finalize()[..DIGEST_BYTES]);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_only_for_its_own_query_and_unaltered() {
        let fingerprint = Fingerprint::new([&b"users"[..], b"by_creation"]);
        let cursor = fingerprint.seal(b"position");
        assert_eq!(fingerprint.open(&cursor), Ok(b"position".to_vec()));
        let other = Fingerprint::new([&b"user"[..], b"sby_creation"]);
        assert_eq!(other.open(&cursor), Err(Error::BadCursor));
        for place in 0..cursor.len() {
            let mut altered = cursor.clone().into_bytes();
            altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(fingerprint.open(std::str::from_utf8(&altered).unwrap()), Err(Error::BadCursor));
        }
        for hostile in ["", "A", "====", "ä", &"A".repeat(100_000)] {
            assert_eq!(fingerprint.open(hostile), Err(Error::BadCursor));
        }
    }
}
